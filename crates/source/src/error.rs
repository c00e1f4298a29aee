//! What can go wrong with reading, and whether trying again makes sense.

use std::time::Duration;

use arrow::error::ArrowError;
use domain::{Classify, ErrorClass, ErrorCode};
use native::{ColumnError, NativeError};

use crate::exception::Exception;

/// Why telemetry could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// ClickHouse threw an exception, before or in the middle of an answer. Its text is not kept:
    /// it may quote values of the filter. The server's query log has it under the query's id.
    #[error("clickhouse threw exception {} {}", .0.code, .0.name)]
    Engine(Exception),
    /// The profile of the user lets answers be short without a word.
    #[error("the profile of the clickhouse user must say: {}", .0.join(", "))]
    Unsafe(Vec<String>),
    /// Something between here and ClickHouse answered in its place.
    #[error("clickhouse answered in no way that it should: {0:.200}")]
    Answer(String),
    /// The connection could not be made, or broke.
    #[error("the connection to clickhouse failed")]
    Transport(#[source] reqwest::Error),
    /// A statement that is no export could not be sent, or its answer not be read.
    #[error("asking clickhouse failed")]
    Client(#[source] clickhouse::error::Error),
    /// The password of the configuration has characters that no header can have.
    #[error("the password for clickhouse cannot be sent")]
    Password,
    /// Nothing came for too long.
    #[error("clickhouse sent nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The answer ended before its end.
    #[error("the answer of clickhouse ended before its end")]
    Truncated,
    /// A slice has fewer rows than there were before it was read and are still.
    #[error("clickhouse sent {read} rows; a count before found {counted}")]
    Short {
        /// Rows that came.
        read: u64,
        /// Rows that there are at least.
        counted: u64,
    },
    /// The answer went on behind its end.
    #[error("the answer of clickhouse went on behind its end")]
    Trailing,
    /// The answer is no gzip, or was changed on its way.
    #[error("the answer of clickhouse could not be unpacked")]
    Gzip(#[source] flate2::DecompressError),
    /// The answer is not what Native looks like.
    #[error("the answer of clickhouse could not be decoded")]
    Native(#[source] NativeError),
    /// The answer has other columns than the query.
    #[error("the answer of clickhouse has the wrong columns: {0}")]
    Schema(String),
    /// The rows cannot be put into order, or be copied for the next block.
    #[error("the rows could not be put into the order of time")]
    Order(#[source] ArrowError),
    /// The thread that decodes is gone.
    #[error("the decoder stopped")]
    Stopped(#[source] tokio::task::JoinError),
}

impl From<clickhouse::error::Error> for SourceError {
    fn from(error: clickhouse::error::Error) -> Self {
        match error {
            clickhouse::error::Error::BadResponse(text) => match Exception::parse(&text) {
                Some(exception) => Self::Engine(exception),
                None => Self::Answer(text),
            },
            error => Self::Client(error),
        }
    }
}

impl From<reqwest::Error> for SourceError {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

/// Says whether a column has a type that does not come as it is: it needs a cast in its definition.
fn is_unreadable(error: &NativeError) -> bool {
    matches!(
        error,
        NativeError::Column {
            reason: ColumnError::Type(_),
            ..
        }
    )
}

/// Says whether the rows that come in one piece are too large for it.
fn is_too_large(error: &NativeError) -> bool {
    matches!(
        error,
        NativeError::Limit { .. }
            | NativeError::Column {
                reason: ColumnError::TooLarge(_),
                ..
            }
    )
}

impl Classify for SourceError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Engine(exception) if exception.is_permanent() => ErrorClass::Permanent,
            Self::Schema(_) | Self::Order(_) => ErrorClass::Permanent,
            Self::Native(error) if is_unreadable(error) || is_too_large(error) => {
                ErrorClass::Permanent
            }
            _ => ErrorClass::TRANSIENT,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Engine(exception) if exception.is_limit() => ErrorCode::SourceLimit,
            Self::Engine(exception) if exception.is_permanent() => ErrorCode::SourceRejected,
            Self::Schema(_) | Self::Order(_) => ErrorCode::SourceRejected,
            Self::Native(error) if is_unreadable(error) => ErrorCode::SourceRejected,
            Self::Native(error) if is_too_large(error) => ErrorCode::SourceLimit,
            Self::Stopped(_) => ErrorCode::Internal,
            _ => ErrorCode::SourceUnavailable,
        }
    }
}
