//! The connection to the storage.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use secrecy::ExposeSecret;

use crate::config::S3Config;
use crate::error::SinkError;
use crate::metrics::{self, Measure};
use crate::part_buffer::{PartBuffer, SMALLEST_PART};

/// A bucket of any server that speaks S3. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(crate) client: Client,
    /// Makes the client that signs links, which needs credentials.
    pub(crate) presigner: Builder,
    pub(crate) credentials: SharedCredentialsProvider,
    pub(crate) longest_link: Duration,
    pub(crate) bucket: String,
    pub(crate) upload_in_flight_bytes: u64,
    part_size_bytes: usize,
}

impl Sink {
    /// Makes the clients. Sends nothing to the storage.
    ///
    /// # Errors
    ///
    /// [`SinkError::Config`] when the configuration makes no sense.
    pub async fn new(config: &S3Config) -> Result<Self, SinkError> {
        config.check()?;
        metrics::describe();
        let shared = shared_config(config).await;
        let credentials = shared
            .credentials_provider()
            .ok_or(SinkError::Config("there is no source of credentials"))?;
        let storage = s3_config(&shared, config);
        let mut presigner = storage.clone();
        if let Some(endpoint) = &config.public_endpoint {
            presigner.set_endpoint_url(Some(endpoint.to_string()));
        }
        Ok(Self {
            client: Client::from_conf(storage.interceptor(Measure).build()),
            presigner,
            credentials,
            longest_link: Duration::from_secs(config.presign_ttl_s),
            bucket: config.bucket.clone(),
            upload_in_flight_bytes: config.upload_in_flight_bytes,
            part_size_bytes: config.part_size_bytes,
        })
    }

    /// Checks that the bucket is there and may be used.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being used.
    pub async fn ping(&self) -> Result<(), SinkError> {
        self.client
            .head_bucket()
            .bucket(&self.bucket)
            .send()
            .await
            .map(drop)
            .map_err(SinkError::of("HeadBucket"))
    }

    /// Makes the buffer that cuts a file, or the rest of one, into parts of the configured size,
    /// numbered from `first_number` on.
    pub fn part_buffer(&self, first_number: u16) -> PartBuffer {
        PartBuffer::new(self.part_size_bytes, SMALLEST_PART, first_number)
    }
}

async fn shared_config(config: &S3Config) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new(config.region.clone()))
        .retry_config(RetryConfig::standard().with_max_attempts(config.max_attempts))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
                .read_timeout(Duration::from_millis(config.read_timeout_ms))
                .operation_attempt_timeout(Duration::from_millis(config.attempt_timeout_ms))
                .build(),
        )
        // The timeouts bound every attempt; a slow server is not a broken one.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint.as_str());
    }
    if let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
        let secret = secret.expose_secret();
        let credentials = Credentials::new(id, secret, None, None, "configuration");
        loader = loader.credentials_provider(credentials);
    }
    loader.load().await
}

fn s3_config(shared: &SdkConfig, config: &S3Config) -> Builder {
    let (request, response) = if config.checksums {
        (
            RequestChecksumCalculation::WhenSupported,
            ResponseChecksumValidation::WhenSupported,
        )
    } else {
        (
            RequestChecksumCalculation::WhenRequired,
            ResponseChecksumValidation::WhenRequired,
        )
    };
    Builder::from(shared)
        .force_path_style(config.force_path_style)
        .request_checksum_calculation(request)
        .response_checksum_validation(response)
}
