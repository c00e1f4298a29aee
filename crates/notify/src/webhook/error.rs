//! Why a webhook was not called, or did not accept the call.

use std::error::Error;
use std::io;
use std::time::Duration;

use domain::{Classify, ErrorClass, ErrorCode};

/// The reason why a call was not accepted. It never holds the path of the webhook.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The file of certificates is wrong.
    #[error("the configuration of webhooks is wrong: webhook_ca_file")]
    CaFile(#[source] Box<dyn Error + Send + Sync>),
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// There is no secret to sign with.
    #[error("webhooks are not set up")]
    NotSetUp,
    /// The call could not be written.
    #[error("the call could not be written")]
    Body(#[from] serde_json::Error),
    /// The call could not be written.
    #[error("the call could not be written")]
    Request(#[from] hyper::http::Error),
    /// The host can have no certificate.
    #[error("the host is none")]
    Host,
    /// The name of the host could not be resolved.
    #[error("the name of the host could not be resolved")]
    Resolve(#[source] io::Error),
    /// The host has no address to which webhooks may go.
    #[error("the host has no public address")]
    Forbidden,
    /// The host could not be reached, or is not who it should be.
    #[error("the host could not be reached")]
    Unreachable(#[source] io::Error),
    /// The host broke off, or does not speak HTTP.
    #[error("the call broke off")]
    Broken(#[from] hyper::Error),
    /// The host took too long.
    #[error("the call took too long")]
    TimedOut,
    /// The answer was not 2xx. Its text is not kept.
    #[error("the answer was {status}")]
    Refused {
        /// The status.
        status: u16,
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Classify for WebhookError {
    fn class(&self) -> ErrorClass {
        match self {
            // Gone: the receiver wants no more.
            Self::Refused { status: 410, .. }
            | Self::CaFile(_)
            | Self::Tls(_)
            | Self::Body(_)
            | Self::Request(_)
            | Self::Host
            | Self::Forbidden => ErrorClass::Permanent,
            // Of all other statuses the specification says that they are failures like any other.
            Self::Refused { retry_after, .. } => ErrorClass::Transient {
                retry_after: *retry_after,
            },
            // Once webhooks are set up again, it can be called.
            Self::NotSetUp
            | Self::Resolve(_)
            | Self::Unreachable(_)
            | Self::Broken(_)
            | Self::TimedOut => ErrorClass::TRANSIENT,
        }
    }

    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}
