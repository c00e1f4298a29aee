//! What the tests share: a bucket of their own, and downloads as a browser does them.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use devstack::Env;
use reqwest::Response;
use sink::{LinkMethod, ObjectKind, Part, PresignedUrl, S3Config, Sink};

pub(crate) const MIB: usize = 1024 * 1024;

/// The highest number that a part can have.
pub(crate) const LAST_PART: u16 = 10_000;

/// The settings for a new, empty bucket.
pub(crate) async fn fresh_config() -> anyhow::Result<S3Config> {
    let env = Env::shared();
    Ok(S3Config {
        endpoint: Some(env.s3.endpoint.parse()?),
        public_endpoint: None,
        region: env.s3.region.clone(),
        bucket: devstack::fresh_bucket(env).await?,
        access_key_id: Some(env.s3.access_key.clone()),
        secret_access_key: Some(env.s3.secret_key.clone().into()),
        force_path_style: true,
        checksums: false,
        connect_timeout_ms: 2_000,
        read_timeout_ms: 30_000,
        attempt_timeout_ms: 30_000,
        max_attempts: 3,
        part_size_bytes: 5 * MIB,
        upload_in_flight_bytes: 10 * MIB as u64,
        presign_ttl_s: 3_600,
    })
}

pub(crate) async fn fresh_sink() -> anyhow::Result<Sink> {
    Ok(Sink::new(&fresh_config().await?).await?)
}

pub(crate) fn kind() -> ObjectKind {
    ObjectKind {
        content_type: "application/gzip".to_owned(),
        file_name: "logs_20260101T000000Z_20260102T000000Z.csv.gz".to_owned(),
    }
}

/// Bytes that differ from place to place.
pub(crate) fn file(size: usize) -> Bytes {
    // 251 is prime, so no two pages or parts are the same.
    (0..=250).cycle().take(size).collect()
}

/// Cuts a file as the sink would.
pub(crate) fn parts(sink: &Sink, mut file: Bytes) -> anyhow::Result<Vec<Part>> {
    let mut buffer = sink.part_buffer(1);
    let mut parts = Vec::new();
    while !file.is_empty() {
        parts.extend(buffer.fill(&mut file)?);
    }
    parts.extend(buffer.finish());
    Ok(parts)
}

pub(crate) async fn get(link: &PresignedUrl) -> anyhow::Result<Response> {
    browser()
        .get(&link.url)
        .send()
        .await
        .context("follow the link")
}

/// Downloads an object through a link.
pub(crate) async fn download(sink: &Sink, key: &str) -> anyhow::Result<Bytes> {
    let link = sink
        .presign(LinkMethod::Get, key, &kind(), Duration::from_mins(1))
        .await?;
    Ok(get(&link).await?.error_for_status()?.bytes().await?)
}

pub(crate) fn browser() -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
