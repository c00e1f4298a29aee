//! Notifications by e-mail, with a link that downloads the file.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{Classify, Clock, ErrorClass, ErrorCode, ExportRequest, ExportedFile, JobState};
use notify::{Email, Link, Mailer, NotifyError, Outcome};
use sink::{ObjectKind, PresignedUrl, Sink, SinkError};
use store::notifications::{Channel, DueNotification};

use super::Courier;

/// Sends e-mails.
pub struct EmailCourier {
    /// Signs the links.
    pub sink: Sink,
    /// The way to the mail server.
    pub mailer: Mailer,
    /// Dates the e-mails.
    pub clock: Arc<dyn Clock>,
}

/// Why an e-mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// The link could not be signed.
    #[error("signing the link")]
    Link(#[from] SinkError),
    /// The mail server did not take the e-mail.
    #[error("sending the e-mail")]
    Mail(#[from] NotifyError),
    /// There is nothing to tell any more.
    #[error("the file or the reason of the failure is gone")]
    Outdated,
}

impl Classify for EmailError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Link(error) => error.class(),
            Self::Mail(error) => error.class(),
            Self::Outdated => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}

impl Courier for EmailCourier {
    type Error = EmailError;

    const CHANNEL: Channel = Channel::Email;
    const AT_ONCE: usize = 1;

    async fn deliver(&self, due: &DueNotification) -> Result<(), EmailError> {
        let date = self.clock.now();
        let link;
        let outcome = match &due.job.state {
            JobState::Completed {
                file, expires_at, ..
            } => {
                link = self.link(&due.job.request, file, date, *expires_at).await?;
                Outcome::Completed {
                    file,
                    link: Link {
                        url: &link.url,
                        expires_at: date + link.expires_in,
                    },
                }
            }
            JobState::Failed { failure, .. } => Outcome::Failed(failure),
            _ => return Err(EmailError::Outdated),
        };
        let email = Email {
            id: due.id,
            to: &due.recipient,
            date,
            job: due.job.id,
            request: &due.job.request,
            outcome,
        };
        Ok(self.mailer.send(&email).await?)
    }
}

impl EmailCourier {
    /// Signs a link that works as long as the file is there.
    async fn link(
        &self,
        request: &ExportRequest,
        file: &ExportedFile,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<PresignedUrl, SinkError> {
        let kind = ObjectKind {
            content_type: request.output.content_type().to_owned(),
            file_name: request.file_name(),
        };
        let life = (expires_at - now).to_std().unwrap_or_default();
        self.sink.presign(&file.object_key, &kind, life).await
    }
}
