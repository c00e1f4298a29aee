//! Links that download an object without credentials, for a while.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use domain::{Clock, SystemClock};

use crate::client::Sink;
use crate::error::SinkError;
use crate::object::ObjectKind;

/// The longest life that S3 allows.
const SEVEN_DAYS: Duration = Duration::from_hours(7 * 24);

/// A link that downloads an object.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The link. Whoever has it has the file.
    pub url: String,
    /// How long it works, from now on.
    pub expires_in: Duration,
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedUrl")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// What a link is for: a signature holds for one method only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMethod {
    /// To download the object.
    Get,
    /// To see its headers.
    Head,
}

impl Sink {
    /// Signs a link to an object that makes a browser save it under its name.
    ///
    /// It lives as long as the shortest of `ttl`, the configuration, S3's seven days and the
    /// credentials allow. For a long life, temporary credentials are fetched anew each time.
    ///
    /// # Errors
    ///
    /// [`SinkError::Unavailable`] when there are no credentials.
    pub async fn presign(
        &self,
        method: LinkMethod,
        key: &str,
        kind: &ObjectKind,
        ttl: Duration,
    ) -> Result<PresignedUrl, SinkError> {
        let operation = match method {
            LinkMethod::Get => "GetObject",
            LinkMethod::Head => "HeadObject",
        };
        let (client, config) = self.signer(operation, ttl).await?;
        // Each operation has a type of its own.
        macro_rules! sign {
            ($request:expr) => {
                $request
                    .bucket(&self.bucket)
                    .key(key)
                    .response_content_type(&kind.content_type)
                    .response_content_disposition(kind.disposition())
                    .presigned(config.clone())
                    .await
                    .map_err(SinkError::of(operation))?
            };
        }
        let request = match method {
            LinkMethod::Get => sign!(client.get_object()),
            LinkMethod::Head => sign!(client.head_object()),
        };
        Ok(PresignedUrl {
            url: request.uri().to_owned(),
            expires_in: config.expires(),
        })
    }

    async fn signer(
        &self,
        operation: &'static str,
        ttl: Duration,
    ) -> Result<(Client, PresigningConfig), SinkError> {
        let credentials = self
            .credentials
            .provide_credentials()
            .await
            .map_err(|error| SinkError::unavailable(operation, error))?;
        // The storage judges a signature by the time of day, so no other clock would do.
        let now = SystemClock.now().into();
        let expires_in = [self.longest_link, SEVEN_DAYS, life(&credentials, now)]
            .into_iter()
            .fold(ttl, Duration::min);
        let config = PresigningConfig::builder()
            .start_time(now)
            .expires_in(expires_in)
            .build()
            .map_err(|error| SinkError::unavailable(operation, error))?;
        let client = self.presigner.clone().credentials_provider(credentials);
        Ok((Client::from_conf(client.build()), config))
    }
}

fn life(credentials: &Credentials, now: SystemTime) -> Duration {
    credentials.expiry().map_or(Duration::MAX, |expiry| {
        expiry.duration_since(now).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_credential_types::Credentials;

    use super::life;

    #[test]
    fn temporary_credentials_end_a_link() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let credentials = |expiry| Credentials::new("id", "secret", None, expiry, "test");
        assert_eq!(life(&credentials(None), now), Duration::MAX);
        let hour = Duration::from_hours(1);
        assert_eq!(life(&credentials(Some(now + hour)), now), hour);
        assert_eq!(life(&credentials(Some(now - hour)), now), Duration::ZERO);
    }
}
