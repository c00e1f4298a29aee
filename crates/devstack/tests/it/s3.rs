//! The object storage: presigned links, multipart uploads, lists and faults.

mod faults;
mod lists;
mod uploads;

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::list_parts::builders::ListPartsFluentBuilder;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_s3::{Client, Error};
use devstack::{Env, S3, S3Env, fresh_bucket};
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::support::http;

const BUCKET: &str = "bucket";
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

/// A server with one bucket.
struct Server {
    s3: S3,
    client: Client,
    dir: TempDir,
}

impl Server {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let s3 = S3::start(dir.path()).await?;
        s3.create_bucket(BUCKET)?;
        let env = s3.env(BUCKET);
        Ok(Self {
            client: client(&env, &env.secret_key, 1),
            s3,
            dir,
        })
    }

    async fn create(&self, key: &str) -> Result<Upload> {
        Upload::create(&self.client, key).await
    }

    async fn put(&self, key: &str) -> Result<()> {
        let body = ByteStream::from_static(b"0123456789");
        let put = self.client.put_object().bucket(BUCKET).key(key);
        put.body(body).send().await?;
        Ok(())
    }

    /// Returns how many bytes an object has, if it is there.
    async fn size(&self, key: &str) -> Option<i64> {
        let head = self.client.head_object().bucket(BUCKET).key(key);
        head.send().await.ok()?.content_length()
    }
}

/// A multipart upload.
struct Upload {
    client: Client,
    key: String,
    id: String,
}

impl Upload {
    async fn create(client: &Client, key: &str) -> Result<Self> {
        let create = client.create_multipart_upload().bucket(BUCKET).key(key);
        let created = create.send().await?;
        Ok(Self {
            client: client.clone(),
            key: key.to_owned(),
            id: created.upload_id.context("no upload id")?,
        })
    }

    /// Uploads a part and returns what names it.
    async fn part(&self, number: i32, bytes: Vec<u8>) -> Result<CompletedPart, Error> {
        let request = self.client.upload_part().bucket(BUCKET).key(&self.key);
        let request = request.upload_id(&self.id).part_number(number);
        let part = request.body(bytes.into()).send().await?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag)
            .build())
    }

    async fn complete(&self, parts: &[CompletedPart]) -> Result<(), Error> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec()));
        let request = self.client.complete_multipart_upload().bucket(BUCKET);
        let request = request.key(&self.key).upload_id(&self.id);
        request.multipart_upload(parts.build()).send().await?;
        Ok(())
    }

    async fn abort(&self) -> Result<(), Error> {
        let request = self.client.abort_multipart_upload().bucket(BUCKET);
        request.key(&self.key).upload_id(&self.id).send().await?;
        Ok(())
    }

    /// Lists a page of the parts.
    fn list(&self) -> ListPartsFluentBuilder {
        let request = self.client.list_parts().bucket(BUCKET);
        request.key(&self.key).upload_id(&self.id)
    }
}

/// Returns the code of a refusal.
fn code<T>(result: Result<T, impl Into<Error>>) -> Option<String> {
    let error: Error = result.err()?.into();
    error.code().map(str::to_owned)
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
