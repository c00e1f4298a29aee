//! Notifications by e-mail, with a link that downloads the file.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    Classify, Clock, ErrorClass, ErrorCode, ExportedFile, ExportedFiles, JobState, LinkKind, UserId,
};
use notify::{Email, Link, Mailer, NotifyError, Outcome};
use representation::Links;
use sink::{LinkMethod, ObjectKind, Sink, SinkError};
use store::jobs::links::{self, LinkToken};
use store::notifications::{Channel, DueNotification};
use store::recipients::{self, Recipient};
use store::{PgPool, StoreError, acquire};

use super::Courier;

/// The most links of an e-mail: more would be read by nobody, and cut off by some mail programs.
const MOST_LINKS: u32 = 20;

/// Sends e-mails.
pub struct EmailCourier {
    /// Where links of the service's own are.
    pub pool: PgPool,
    /// Signs links to the storage.
    pub sink: Sink,
    /// Where links of the service's own lead.
    pub links: Links,
    /// The way to the mail server.
    pub mailer: Mailer,
    /// Dates the e-mails.
    pub clock: Arc<dyn Clock>,
}

/// Why an e-mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// The user could not be looked up.
    #[error("looking up the user")]
    Recipient(#[source] StoreError),
    /// The user has no address.
    #[error("the user has no e-mail address")]
    NoAddress,
    /// The user is not to get e-mails any more.
    #[error("the user is not active")]
    Inactive,
    /// The platform does not know the user any more.
    #[error("the user is unknown")]
    Unknown,
    /// The link could not be signed.
    #[error("signing the link")]
    Link(#[from] SinkError),
    /// There is no randomness for a link of the service's own.
    #[error("drawing a token for the link")]
    Token(#[from] getrandom::Error),
    /// A link of the service's own could not be kept.
    #[error("storing the link")]
    Store(#[from] StoreError),
    /// This process does not know where a link of the service's own would lead.
    #[error("http.public_url is not configured here, but the link needs it")]
    NoPublicUrl,
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
            // Once that is mended, the e-mail can be sent.
            Self::Token(_) | Self::NoPublicUrl => ErrorClass::TRANSIENT,
            Self::Recipient(error) | Self::Store(error) => error.class(),
            Self::Mail(error) => error.class(),
            Self::NoAddress | Self::Inactive | Self::Unknown | Self::Outdated => {
                ErrorClass::Permanent
            }
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
    const OF_ONE_ORGANIZATION: usize = 1;

    async fn deliver(&self, due: &DueNotification) -> Result<(), EmailError> {
        let to = self.address(due.job.user).await?;
        let date = self.clock.now();
        let (linked, manifest_url);
        let outcome = match &due.job.state {
            JobState::Completed {
                files, expires_at, ..
            } => {
                linked = self.link(due, files, date, *expires_at).await?;
                let expires_at = linked.until;
                match (files, &linked.files[..]) {
                    (ExportedFiles::One(_), [(file, url)]) => Outcome::Completed {
                        file,
                        link: Link { url, expires_at },
                    },
                    (files, linked) => {
                        manifest_url = self.links.manifest(due.job.id);
                        Outcome::Split {
                            totals: files.totals(),
                            files: linked,
                            expires_at,
                            manifest_url: &manifest_url,
                        }
                    }
                }
            }
            JobState::Failed { failure, .. } => Outcome::Failed(failure),
            _ => return Err(EmailError::Outdated),
        };
        let email = Email {
            id: due.id,
            to: &to,
            date,
            job: due.job.id,
            request: &due.request,
            narrowed_to: &due.job.narrowed_to,
            outcome,
        };
        Ok(self.mailer.send(&email).await?)
    }
}

/// The first files of a job, each with its link.
struct Linked {
    files: Vec<(ExportedFile, String)>,
    until: DateTime<Utc>,
}

impl EmailCourier {
    /// Returns the address of a user.
    async fn address(&self, user: UserId) -> Result<String, EmailError> {
        let found = async { recipients::find(&mut *acquire(&self.pool).await?, user).await };
        match found.await.map_err(EmailError::Recipient)? {
            Recipient::Reachable(address) => Ok(address),
            Recipient::WithoutAddress => Err(EmailError::NoAddress),
            Recipient::Inactive => Err(EmailError::Inactive),
            Recipient::Unknown => Err(EmailError::Unknown),
        }
    }

    async fn link(
        &self,
        due: &DueNotification,
        files: &ExportedFiles,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Linked, EmailError> {
        let is_only = files.only().is_some();
        let first = match files {
            ExportedFiles::One(file) => vec![file.clone()],
            ExportedFiles::Several(_) => {
                let conn = &mut *acquire(&self.pool).await?;
                store::files::list(conn, due.job.id, 1, MOST_LINKS).await?
            }
        };
        let numbered = (1..).zip(first);
        let mut linked = Linked {
            files: Vec::new(),
            until: expires_at,
        };
        match due.request.notify.link {
            LinkKind::Presigned => {
                for (number, file) in numbered {
                    let (url, until) = self.presign(due, number, &file, now, expires_at).await?;
                    linked.until = linked.until.min(until);
                    linked.files.push((file, url));
                }
            }
            LinkKind::Service => {
                let token = self.add_link(due).await?;
                linked.files.extend(numbered.map(|(number, file)| {
                    let url = if is_only {
                        self.links.follow(token.as_str())
                    } else {
                        self.links.follow_to(token.as_str(), number)
                    };
                    (file, url)
                }));
            }
        }
        Ok(linked)
    }

    /// Signs a link to the storage that works as long as the file is there, if that allows it, and says
    /// until when.
    async fn presign(
        &self,
        due: &DueNotification,
        number: u32,
        file: &ExportedFile,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<(String, DateTime<Utc>), SinkError> {
        let request = &due.request;
        let kind = ObjectKind {
            content_type: request.output.content_type().to_owned(),
            file_name: request.file_name(number),
        };
        let life = (expires_at - now).to_std().unwrap_or_default();
        let link = self
            .sink
            .presign(LinkMethod::Get, &file.object_key, &kind, life)
            .await?;
        Ok((link.url, now + link.expires_in))
    }

    /// Makes a link of the service's own. Each attempt makes another one, since nobody knows the token
    /// of the last, and whether it has arrived.
    async fn add_link(&self, due: &DueNotification) -> Result<LinkToken, EmailError> {
        if !self.links.are_absolute() {
            return Err(EmailError::NoPublicUrl);
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let token = LinkToken::new(random);
        links::add(&mut *acquire(&self.pool).await?, due, &token).await?;
        Ok(token)
    }
}
