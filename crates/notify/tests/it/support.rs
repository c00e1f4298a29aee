//! A mail server for each test, and e-mails to send.

use anyhow::Context;
use chrono::{DateTime, Utc};
use devstack::{Mail, Mailbox, Smtp};
use domain::{
    ErrorCode, ExportRequest, ExportedFile, Failure, FileTotals, JobId, Narrowing, RequestLimits,
};
use notify::{Email, Link, Mailer, Outcome, Security, SmtpConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// A mail server with a mailbox of its own.
pub(crate) struct Server {
    pub(crate) smtp: Smtp,
    pub(crate) dir: TempDir,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let smtp = Smtp::start(dir.path()).await?;
        Ok(Self { smtp, dir })
    }

    /// The settings for it, without encryption.
    pub(crate) fn config(&self) -> SmtpConfig {
        SmtpConfig {
            host: "localhost".to_owned(),
            port: self.smtp.port(),
            security: Security::None,
            username: None,
            password: None,
            from: "Data Export <exports@example.com>".to_owned(),
            reply_to: None,
            timeout_ms: 5_000,
            ca_file: None,
        }
    }

    pub(crate) fn mailer(&self) -> anyhow::Result<Mailer> {
        Ok(Mailer::new(&self.config())?)
    }

    pub(crate) async fn messages(&self) -> anyhow::Result<Vec<Mail>> {
        Mailbox::new(self.smtp.mailbox_url()).messages().await
    }

    /// The one message that there is.
    pub(crate) async fn message(&self) -> anyhow::Result<Mail> {
        let [mail] = <[Mail; 1]>::try_from(self.messages().await?)
            .ok()
            .context("there should be one message")?;
        Ok(mail)
    }
}

/// What e-mails are made of.
pub(crate) struct Sample {
    request: ExportRequest,
    file: ExportedFile,
    pub(crate) failure: Failure,
    pub(crate) narrowed_to: Narrowing,
    pub(crate) to: String,
    pub(crate) url: String,
}

impl Sample {
    /// An export of what the members of `request` add to logs of a day as CSV.
    pub(crate) fn new(request: Value, rows: u64, size_bytes: u64) -> Self {
        let mut body = json!({
            "data_type": "logs", "format": "csv",
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
        });
        if let (Value::Object(body), Value::Object(request)) = (&mut body, request) {
            body.extend(request);
        }
        Self {
            request: ExportRequest::parse(&body, &RequestLimits::NONE).expect("it is valid"),
            file: ExportedFile {
                object_key: "never shown".to_owned(),
                size_bytes,
                rows,
                sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
                    .to_owned(),
            },
            failure: ErrorCode::SourceLimit.into(),
            narrowed_to: Narrowing::default(),
            to: "ada@example.org".to_owned(),
            url: "https://files.example.com/exports/6f1c/logs.csv.gz\
                  ?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260102T100000Z\
                  &X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=\
                  5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
                .to_owned(),
        }
    }

    pub(crate) fn completed(&self) -> Email<'_> {
        self.email(Outcome::Completed {
            file: &self.file,
            link: Link {
                url: &self.url,
                expires_at: time("2026-01-09T10:00:00Z"),
            },
        })
    }

    /// An export of so many files of this size, of which some have links.
    pub(crate) fn split<'a>(
        &'a self,
        count: u32,
        linked: &'a [(ExportedFile, String)],
    ) -> Email<'a> {
        self.email(Outcome::Split {
            totals: FileTotals {
                count,
                size_bytes: u64::from(count) * self.file.size_bytes,
                rows: u64::from(count) * self.file.rows,
            },
            files: linked,
            expires_at: time("2026-01-09T10:00:00Z"),
            manifest_url: "https://export.example.com/api/v1/export/0199/manifest",
        })
    }

    /// Files with links.
    pub(crate) fn linked(&self, count: u32) -> Vec<(ExportedFile, String)> {
        let url = |number| self.url.replace(".csv", &format!("-{number:04}.csv"));
        (1..=count)
            .map(|number| (self.file.clone(), url(number)))
            .collect()
    }

    pub(crate) fn failed(&self) -> Email<'_> {
        self.email(Outcome::Failed(&self.failure))
    }

    fn email<'a>(&'a self, outcome: Outcome<'a>) -> Email<'a> {
        Email {
            id: Uuid::from_u128(7),
            to: &self.to,
            date: time("2026-01-02T10:00:00Z"),
            job: JobId::from(Uuid::from_u128(0x0199_8a30_7c2e_7b1a_9f3e_2d1c_0b9a_8f7e)),
            request: &self.request,
            narrowed_to: &self.narrowed_to,
            outcome,
        }
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("it is a time")
}
