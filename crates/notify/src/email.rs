//! What an e-mail is about.

use chrono::{DateTime, Utc};
use domain::{ExportRequest, ExportedFile, Failure, FileTotals, JobId, Narrowing};
use uuid::Uuid;

/// An e-mail to the user who asked for an export. It has no `Debug`, which would show an address.
#[derive(Clone, Copy)]
pub struct Email<'a> {
    /// The id of the notification. Sent twice, an e-mail has the same Message-ID, so that the
    /// reader's program can drop the second.
    pub id: Uuid,
    /// The address of the user.
    pub to: &'a str,
    /// When it is sent.
    pub date: DateTime<Utc>,
    /// The job.
    pub job: JobId,
    /// What was asked for.
    pub request: &'a ExportRequest,
    /// Which rows of the organization the user could see.
    pub narrowed_to: &'a Narrowing,
    /// What became of it.
    pub outcome: Outcome<'a>,
}

/// What became of an export.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    /// The only file is there.
    Completed {
        /// The file.
        file: &'a ExportedFile,
        /// Where it is.
        link: Link<'a>,
    },
    /// The files are there.
    Split {
        /// What they are together.
        totals: FileTotals,
        /// The first of them; all, unless there are very many.
        files: &'a [(ExportedFile, String)],
        /// When the links to them end.
        expires_at: DateTime<Utc>,
        /// Where the links to all of them are.
        manifest_url: &'a str,
    },
    /// There will be no file.
    Failed(&'a Failure),
}

/// A link that downloads a file.
#[derive(Clone, Copy)]
pub struct Link<'a> {
    /// The link.
    pub url: &'a str,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}
