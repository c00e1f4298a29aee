//! Sends the e-mails that are due, on a schedule of their own that no job waits for.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::{Classify, Clock, ErrorClass, ErrorCode, ExportedFile, JobState, LinkKind};
use notify::{Email, Link, Mailer, NotifyError, Outcome};
use runtime::{chain, traces};
use sink::{ObjectKind, Sink, SinkError};
use store::jobs::links::{self, LinkToken};
use store::notifications::{self, DueNotification};
use store::{PgPool, StoreError, acquire};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;
use url::Url;

use crate::config::NotificationConfig;
use crate::deadline::until;
use crate::retry::Verdict;

/// Sends e-mails.
pub struct Notifier {
    /// Where notifications are.
    pub pool: PgPool,
    /// Signs the links.
    pub sink: Sink,
    /// The way to the mail server.
    pub mailer: Mailer,
    /// Where people reach the API, for links of its own.
    pub public_url: Option<Url>,
    /// When to look, and when to try again.
    pub config: NotificationConfig,
    /// Told when a job has ended in this process.
    pub wake: Arc<Notify>,
    /// Dates the e-mails.
    pub clock: Arc<dyn Clock>,
}

/// Why an e-mail was not sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("signing the link")]
    Link(#[from] SinkError),
    #[error("drawing a token for the link")]
    Token(#[from] getrandom::Error),
    #[error("storing the link")]
    Store(#[from] StoreError),
    #[error("http.public_url is not configured here, but the link needs it")]
    NoPublicUrl,
    #[error("sending the e-mail")]
    Mail(#[from] NotifyError),
    #[error("the file or the reason of the failure is gone")]
    Outdated,
}

impl Classify for SendError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Link(error) => error.class(),
            // Once that is mended, the e-mail can be sent.
            Self::Token(_) | Self::NoPublicUrl => ErrorClass::TRANSIENT,
            Self::Store(error) => error.class(),
            Self::Mail(error) => error.class(),
            Self::Outdated => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}

impl Notifier {
    /// Sends what is due until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.send_next().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "e-mails have to wait");
                }
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(self.config.poll_interval_ms.get())) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Sends one e-mail, or says that none is due.
    async fn send_next(&self) -> Result<bool, StoreError> {
        let asked = Instant::now();
        let lease = Duration::from_secs(self.config.lease_s.get());
        let claimed = notifications::claim_due(&mut *acquire(&self.pool).await?, lease).await?;
        let Some(due) = claimed else {
            return Ok(false);
        };
        let span = tracing::info_span!(
            "mail.send",
            job.id = %due.job.id,
            notification.id = %due.id,
            attempt = due.attempts,
            otel.kind = "client",
            otel.status_code = Empty,
        );
        traces::follow(&span, due.job.trace.as_ref());
        let sending = Box::pin(self.send(&due).instrument(span.clone()));
        let Some(sent) = until(asked + lease, sending).await else {
            tracing::warn!(job.id = %due.job.id, notification.id = %due.id, "left to another worker");
            return Ok(true);
        };
        let mut conn = acquire(&self.pool).await?;
        let Err(error) = sent else {
            notifications::sent(&mut conn, &due).await?;
            tracing::info!(job.id = %due.job.id, notification.id = %due.id, "e-mail sent");
            return Ok(true);
        };
        span.record("otel.status_code", "ERROR");
        let retry = &self.config.retry;
        let verdict = retry.judge(error.class(), error.code(), due.job.id, due.attempts);
        tracing::warn!(
            job.id = %due.job.id, notification.id = %due.id, attempt = due.attempts,
            error = &error as &dyn Error, ?verdict, "e-mail not sent"
        );
        let cause = chain(&error);
        match verdict {
            Verdict::Retry(delay) => {
                notifications::retry(&mut conn, &due, delay, &cause).await?;
            }
            Verdict::Fail(_) | Verdict::Release => {
                notifications::give_up(&mut conn, &due, &cause).await?;
            }
        }
        Ok(true)
    }

    async fn send(&self, due: &DueNotification) -> Result<(), SendError> {
        let date = self.clock.now();
        let (url, until);
        let outcome = match &due.job.state {
            JobState::Completed {
                file, expires_at, ..
            } => {
                (url, until) = match due.job.request.notify.link {
                    LinkKind::Presigned => self.presign(due, file, date, *expires_at).await?,
                    LinkKind::Service => (self.add_link(due).await?, *expires_at),
                };
                let link = Link {
                    url: &url,
                    expires_at: until,
                };
                Outcome::Completed { file, link }
            }
            JobState::Failed { failure, .. } => Outcome::Failed(failure),
            _ => return Err(SendError::Outdated),
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

    /// Signs a link to the storage that works as long as the file is there, if that allows it, and says
    /// until when.
    async fn presign(
        &self,
        due: &DueNotification,
        file: &ExportedFile,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<(String, DateTime<Utc>), SinkError> {
        let request = &due.job.request;
        let kind = ObjectKind {
            content_type: request.output.content_type().to_owned(),
            file_name: request.file_name(),
        };
        let life = (expires_at - now).to_std().unwrap_or_default();
        let link = self.sink.presign(&file.object_key, &kind, life).await?;
        Ok((link.url, now + link.expires_in))
    }

    /// Makes a link of the service's own. Each attempt makes another one, since nobody knows the token
    /// of the last, and whether it has arrived.
    async fn add_link(&self, due: &DueNotification) -> Result<String, SendError> {
        let public_url = self.public_url.as_ref().ok_or(SendError::NoPublicUrl)?;
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let token = LinkToken::new(random);
        links::add(&mut *acquire(&self.pool).await?, due, &token).await?;
        let base = public_url.as_str().trim_end_matches('/');
        Ok(format!("{base}/api/v1/links/{}", token.as_str()))
    }
}
