//! What can go wrong with the storage.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use domain::{Classify, ErrorClass, ErrorCode};

/// An error of the storage.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The configuration makes no sense.
    #[error("the configuration of S3 is wrong: {0}")]
    Config(&'static str),
    /// The server refused, and will again.
    #[error("the storage refused {operation}")]
    Denied {
        /// The name of the request.
        operation: &'static str,
        /// The answer.
        source: BoxError,
    },
    /// The server could not be reached, or not do it now.
    #[error("the storage could not do {operation}")]
    Unavailable {
        /// The name of the request.
        operation: &'static str,
        /// How long the server asked to be left alone.
        retry_after: Option<Duration>,
        /// What happened.
        source: BoxError,
    },
    /// The file has more bytes than the parts of an upload can hold.
    #[error("the file does not fit into the parts of an upload")]
    TooLarge,
    /// The parts of an upload are out of order, or have other bytes than the file.
    #[error("the uploaded parts are not the file: {0}")]
    BrokenParts(String),
    /// The object is not what was uploaded.
    #[error("the object has {actual} bytes instead of {expected}")]
    WrongSize {
        /// Bytes that were uploaded.
        expected: u64,
        /// Bytes that the storage has.
        actual: u64,
    },
    /// The task of an upload panicked.
    #[error("the upload of a part broke down")]
    Task(#[from] tokio::task::JoinError),
}

impl SinkError {
    /// Makes the error of a request from the SDK's.
    pub(crate) fn of<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        move |error| {
            let SdkError::ServiceError(answer) = &error else {
                return Self::unavailable(operation, error);
            };
            match (answer.raw().status().as_u16(), answer.err().code()) {
                (_, Some("EntityTooLarge")) => Self::TooLarge,
                // Codes of answers that would be permanent by their status, or have status 200.
                (
                    _,
                    Some(
                        "BadDigest" | "ExpiredToken" | "IncompleteBody" | "InternalError"
                        | "NoSuchUpload" | "RequestTimeout" | "SlowDown",
                    ),
                )
                | (200..=299 | 408 | 409 | 429 | 500.., _) => Self::Unavailable {
                    operation,
                    retry_after: retry_after(answer.raw()),
                    source: error.into(),
                },
                _ => Self::Denied {
                    operation,
                    source: error.into(),
                },
            }
        }
    }

    pub(crate) fn unavailable(operation: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            operation,
            retry_after: None,
            source: source.into(),
        }
    }
}

/// Reads the seconds of `Retry-After`, RFC 9110 section 10.2.3; a date there is ignored.
fn retry_after(answer: &HttpResponse) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

impl Classify for SinkError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { retry_after, .. } => ErrorClass::Transient {
                retry_after: *retry_after,
            },
            Self::WrongSize { .. } | Self::Task(_) => ErrorClass::TRANSIENT,
            Self::Config(_) | Self::Denied { .. } | Self::TooLarge | Self::BrokenParts(_) => {
                ErrorClass::Permanent
            }
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Config(_) | Self::Denied { .. } => ErrorCode::StorageDenied,
            Self::Unavailable { .. } | Self::WrongSize { .. } => ErrorCode::StorageUnavailable,
            Self::TooLarge => ErrorCode::TooLarge,
            Self::BrokenParts(_) | Self::Task(_) => ErrorCode::Internal,
        }
    }
}
