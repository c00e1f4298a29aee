//! The `[s3]` section of the configuration.

use std::ops::RangeInclusive;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::error::SinkError;
use crate::part_buffer::SMALLEST_PART;

/// From S3's smallest part up to what keeps the last, 64 times as large and what was held back on
/// top, within its largest.
const PART_SIZES: RangeInclusive<usize> = SMALLEST_PART..=64 * 1024 * 1024;

/// Where files are stored, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The server; AWS when there is none.
    pub endpoint: Option<Url>,
    /// The server as the users' browsers reach it, for which links are signed; `endpoint` when
    /// there is none.
    pub public_endpoint: Option<Url>,
    /// The region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The key id. Without it, credentials come from where AWS's own tools find them.
    pub access_key_id: Option<String>,
    /// The secret of `access_key_id`.
    pub secret_access_key: Option<SecretString>,
    /// Whether the bucket stands in the path of a URL rather than in its host.
    pub force_path_style: bool,
    /// Whether uploads carry a CRC-32, which some servers that speak S3 do not know.
    pub checksums: bool,
    /// Milliseconds for a connection to be made.
    pub connect_timeout_ms: u64,
    /// Milliseconds from sending a request to the first byte of its answer; the upload of a part
    /// counts.
    pub read_timeout_ms: u64,
    /// Milliseconds for one attempt of a request.
    pub attempt_timeout_ms: u64,
    /// Attempts of one request.
    pub max_attempts: u32,
    /// Bytes of the first 4,000 parts of a file; later ones are larger.
    pub part_size_bytes: usize,
    /// Bytes of one file that are being uploaded at the same moment; at least one part always is.
    pub upload_in_flight_bytes: u64,
    /// The longest life of a link, in seconds; S3 allows seven days.
    pub presign_ttl_s: u64,
}

impl S3Config {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<(), SinkError> {
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err(SinkError::Config(
                "access_key_id and secret_access_key belong together",
            ));
        }
        if !PART_SIZES.contains(&self.part_size_bytes) {
            return Err(SinkError::Config(
                "part_size_bytes must be between 5 MiB and 64 MiB",
            ));
        }
        if self.max_attempts == 0 {
            return Err(SinkError::Config("max_attempts must be at least 1"));
        }
        Ok(())
    }
}
