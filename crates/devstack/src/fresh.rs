//! A database or a bucket that nobody else uses, on the shared servers.

use anyhow::Context as _;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use sqlx::Postgres;
use sqlx::migrate::MigrateDatabase as _;
use url::Url;
use uuid::Uuid;

use crate::Env;

/// Creates an empty Postgres database with a unique name and returns its URL.
///
/// # Errors
///
/// When Postgres refuses.
pub async fn fresh_database(env: &Env) -> anyhow::Result<String> {
    let mut url = Url::parse(&env.postgres_url)?;
    url.set_path(&unique_name("test_"));
    Postgres::create_database(url.as_str())
        .await
        .context("cannot create a database")?;
    Ok(url.into())
}

/// Creates an empty bucket with a unique name and returns the name.
///
/// # Errors
///
/// When the storage refuses.
pub async fn fresh_bucket(env: &Env) -> anyhow::Result<String> {
    let s3 = &env.s3;
    let credentials = Credentials::new(&s3.access_key, &s3.secret_key, None, None, "devstack");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(&s3.endpoint)
        .region(Region::new(s3.region.clone()))
        .credentials_provider(credentials)
        .force_path_style(true)
        .build();
    // s3s-fs puts bucket and key into one file name of at most 255 bytes: 40 for a short bucket
    // leave room for the keys of the service.
    let mut name = unique_name("t");
    name.truncate(8);
    Client::from_conf(config)
        .create_bucket()
        .bucket(&name)
        .send()
        .await
        .context("cannot create a bucket")?;
    Ok(name)
}

fn unique_name(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::new_v4().simple())
}
