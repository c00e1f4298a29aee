//! The object storage: presigned links, multipart uploads and faults.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use devstack::{Env, Operation, S3, S3Env, fresh_bucket};
use reqwest::StatusCode;

use crate::support::http;

const PART: usize = 5 * 1024 * 1024;

fn client(s3: &S3Env, secret_key: &str, attempts: u32) -> Client {
    let credentials = Credentials::new(&s3.access_key, secret_key, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(&s3.endpoint)
        .region(Region::new(s3.region.clone()))
        .credentials_provider(credentials)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(attempts)
                .with_initial_backoff(Duration::from_millis(1)),
        )
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

/// Uploads an object of two parts.
async fn upload(client: &Client, bucket: &str, key: &str) -> Result<()> {
    let upload = client
        .create_multipart_upload()
        .bucket(bucket)
        .key(key)
        .send()
        .await?;
    let id = upload.upload_id().context("no upload id")?;
    let mut parts = CompletedMultipartUpload::builder();
    for (number, size) in [(1, PART), (2, 10)] {
        let body = ByteStream::from(vec![b'x'; size]);
        let request = client.upload_part().bucket(bucket).key(key).upload_id(id);
        let part = request.part_number(number).body(body).send().await?;
        let tag = part.e_tag().context("no ETag")?;
        parts = parts.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(tag)
                .build(),
        );
    }
    let complete = client
        .complete_multipart_upload()
        .bucket(bucket)
        .key(key)
        .upload_id(id);
    complete.multipart_upload(parts.build()).send().await?;
    Ok(())
}

#[tokio::test]
async fn a_presigned_link_names_and_types_its_file() -> Result<()> {
    let env = Env::shared();
    let bucket = fresh_bucket(env).await?;
    let s3 = client(&env.s3, &env.s3.secret_key, 1);
    let body = ByteStream::from_static(b"0123456789");
    s3.put_object()
        .bucket(&bucket)
        .key("a/b")
        .body(body)
        .send()
        .await?;
    let disposition = "attachment; filename=\"logs one.csv.gz\"; filename*=UTF-8''l%C3%B6gs.csv.gz";
    let link = s3
        .get_object()
        .bucket(&bucket)
        .key("a/b")
        .response_content_disposition(disposition)
        .response_content_type("application/gzip")
        .presigned(PresigningConfig::expires_in(Duration::from_mins(1))?)
        .await?;

    let http = http()?;
    let response = http.get(link.uri()).send().await?;
    assert_eq!(response.headers()["content-disposition"], disposition);
    assert_eq!(response.headers()["content-type"], "application/gzip");
    assert_eq!(response.text().await?, "0123456789");

    let response = http
        .get(link.uri())
        .header("Range", "bytes=2-4")
        .send()
        .await?;
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(response.headers()["content-range"], "bytes 2-4/10");
    assert_eq!(response.text().await?, "234");

    let forged = link.uri().replace("gzip", "html");
    assert_eq!(
        http.get(forged).send().await?.status(),
        StatusCode::FORBIDDEN
    );
    let head = s3.head_object().bucket(&bucket).key("a/b").send().await?;
    assert_eq!(head.content_length(), Some(10));
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_opens_nothing() -> Result<()> {
    let env = Env::shared();
    let error = client(&env.s3, "wrong", 1)
        .head_bucket()
        .bucket(&env.s3.bucket)
        .send()
        .await;
    let status = error
        .unwrap_err()
        .raw_response()
        .context("no response")?
        .status()
        .as_u16();
    assert_eq!(status, 403);
    client(&env.s3, &env.s3.secret_key, 1)
        .head_bucket()
        .bucket(&env.s3.bucket)
        .send()
        .await?;
    Ok(())
}

#[tokio::test]
async fn faults_strike_as_often_as_they_are_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let s3 = S3::start(dir.path()).await?;
    s3.create_bucket("bucket")?;
    let env = s3.env("bucket");
    let (patient, once) = (
        client(&env, &env.secret_key, 3),
        client(&env, &env.secret_key, 1),
    );

    s3.faults()
        .fail(Operation::UploadPart, StatusCode::SERVICE_UNAVAILABLE, 2);
    upload(&patient, "bucket", "patient").await?;
    assert_eq!(s3.faults().left(Operation::UploadPart), 0);
    let head = once
        .head_object()
        .bucket("bucket")
        .key("patient")
        .send()
        .await?;
    assert_eq!(head.content_length(), i64::try_from(PART + 10).ok());

    s3.faults()
        .fail(Operation::PutObject, StatusCode::FORBIDDEN, 1);
    let put = || {
        once.put_object()
            .bucket("bucket")
            .key("put")
            .body(ByteStream::from(vec![b'x'; PART]))
    };
    let error = put().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("AccessDenied"));
    assert!(
        once.head_object()
            .bucket("bucket")
            .key("put")
            .send()
            .await
            .is_err()
    );
    put().send().await?;

    let complete = Operation::CompleteMultipartUpload;
    s3.faults()
        .fail_after(complete, StatusCode::INTERNAL_SERVER_ERROR, 1);
    assert!(upload(&once, "bucket", "ambiguous").await.is_err());
    let head = once
        .head_object()
        .bucket("bucket")
        .key("ambiguous")
        .send()
        .await?;
    assert_eq!(head.content_length(), i64::try_from(PART + 10).ok());

    s3.faults()
        .fail(Operation::HeadBucket, StatusCode::INTERNAL_SERVER_ERROR, 9);
    assert!(once.head_bucket().bucket("bucket").send().await.is_err());
    s3.faults().clear();
    once.head_bucket().bucket("bucket").send().await?;

    s3.kill().await;
    assert!(once.head_bucket().bucket("bucket").send().await.is_err());
    s3.restart().await?;
    once.head_object()
        .bucket("bucket")
        .key("put")
        .send()
        .await?;
    s3.stop().await
}
