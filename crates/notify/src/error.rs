//! Why an e-mail was not sent.

use domain::{Classify, ErrorClass, ErrorCode};
use lettre::address::AddressError;

/// The reason why an e-mail was not sent. It never holds an address.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The configuration makes no sense.
    #[error("the configuration of SMTP is wrong: {key}")]
    Config {
        /// The key that is wrong.
        key: &'static str,
        /// How.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The user's address is none.
    #[error("the recipient's address is not valid")]
    Recipient(#[source] AddressError),
    /// The e-mail could not be written.
    #[error("the e-mail could not be written")]
    Message(#[from] lettre::error::Error),
    /// A template could not be filled in.
    #[error("the template could not be filled in")]
    Template(#[from] askama::Error),
    /// The server answered with an error. Its text may quote the address and is not kept.
    #[error("the mail server refused with status {0}")]
    Refused(u16),
    /// The server could not be reached, or broke off.
    #[error("the mail server could not be reached")]
    Unreachable(#[source] lettre::transport::smtp::Error),
}

impl From<lettre::transport::smtp::Error> for NotifyError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        match error.status() {
            Some(status) => Self::Refused(status.into()),
            None => Self::Unreachable(error),
        }
    }
}

impl Classify for NotifyError {
    fn class(&self) -> ErrorClass {
        match self {
            // 530 to 538 refuse the account of this service, RFC 4954 section 6. Once that is
            // mended, the e-mail can be sent.
            Self::Refused(400..=499 | 530..=538) | Self::Unreachable(_) => ErrorClass::TRANSIENT,
            Self::Config { .. }
            | Self::Recipient(_)
            | Self::Message(_)
            | Self::Template(_)
            | Self::Refused(_) => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}
