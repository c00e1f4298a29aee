//! What can go wrong with a job: what to do about it, and what its owner is told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::violation::Violation;

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same work may succeed later, not before `retry_after` if the other side said so.
    Transient {
        /// How long the other side asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The same work would fail again.
    Permanent,
    /// Somebody asked for the work to stop.
    Cancelled,
}

impl ErrorClass {
    /// A transient error whose other side named no time.
    pub const TRANSIENT: Self = Self::Transient { retry_after: None };
}

/// An error that knows what to do about it and what to tell the user.
pub trait Classify: std::error::Error {
    /// Says whether trying again makes sense.
    fn class(&self) -> ErrorClass;

    /// Returns the public code.
    fn code(&self) -> ErrorCode;
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $sentence:literal;)*) => {
        /// The public reason why a job failed. Codes are stable; sentences may be reworded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the code as it stands in the API and in Postgres.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Returns the sentence for the owner of the job.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }

        impl FromStr for ErrorCode {
            type Err = UnknownErrorCode;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($code => Ok(Self::$name),)* _ => Err(UnknownErrorCode(text.to_owned())) }
            }
        }
    };
}

error_codes! {
    /// The row of the job, which another module inserted, is not valid.
    InvalidRequest = "invalid_request", "The request of this export is not valid.";
    /// ClickHouse could not be reached, or broke off, each time it was tried.
    SourceUnavailable = "source_unavailable", "The telemetry database could not be read. Please try again later.";
    /// ClickHouse refused the query.
    SourceRejected = "source_rejected", "The telemetry database refused the query of this export.";
    /// ClickHouse gave up at one of its own limits.
    SourceLimit = "source_limit", "The export needs more than the telemetry database allows. Please choose a shorter time range or stricter filters.";
    /// The dataset is no longer what the job was made for.
    DatasetChanged = "dataset_changed", "The dataset, a column or a filter of this export does not exist.";
    /// The object storage could not be reached each time it was tried.
    StorageUnavailable = "storage_unavailable", "The file could not be stored. Please try again later.";
    /// The object storage denies access, or the bucket is missing.
    StorageDenied = "storage_denied", "The file storage is not set up correctly. Please tell your administrator.";
    /// The file would be larger than the storage can hold.
    TooLarge = "too_large", "The export is larger than one file may be. Please choose a shorter time range or stricter filters.";
    /// The export would have more files than it may have.
    TooManyFiles = "too_many_files", "The export would have more files than an export may have. Please ask for larger files, or choose a shorter time range or stricter filters.";
    /// A value could not be written in the format.
    EncodingFailed = "encoding_failed", "A row could not be written in the chosen format.";
    /// The workers that had the job died, or did not live long enough to make progress.
    WorkerLost = "worker_lost", "This export stopped every worker that tried it. Please choose a shorter time range or stricter filters, or tell your administrator.";
    /// Anything else: a fault of the service.
    Internal = "internal", "Something went wrong on our side. Please try again later.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no [`ErrorCode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code {0:?}")]
pub struct UnknownErrorCode(String);

/// How a job failed, as its owner is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// The sentence.
    pub message: String,
}

/// How much of what is wrong with a request its owner is told, in characters.
const MAX_REASON_CHARS: usize = 1_000;

impl Failure {
    /// Says what is wrong with the request of the job behind the sentence of the code.
    pub fn naming(code: ErrorCode, violations: &[Violation]) -> Self {
        let wrong: Vec<_> = violations.iter().map(ToString::to_string).collect();
        let reason: String = wrong.join("; ").chars().take(MAX_REASON_CHARS).collect();
        Self {
            code,
            message: format!("{} {reason}", code.sentence()),
        }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            message: code.sentence().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn every_code_reads_back() {
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
    }
}
