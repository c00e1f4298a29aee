//! An export job: a request and what has become of it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::ids::{JobId, OrganizationId, ScheduleId, UserId};
use crate::key_prefix::KeyPrefix;
use crate::narrowing::Narrowing;
use crate::request::{ExportRequest, InvalidRequest};
use crate::trace_parent::TraceParent;

/// One request for a file, and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportJob {
    /// The id.
    pub id: JobId,
    /// Who asked.
    pub user: UserId,
    /// Whose rows.
    pub organization: OrganizationId,
    /// Which of them.
    pub narrowed_to: Narrowing,
    /// What for; a request that is not valid fails as soon as a worker takes it.
    pub request: Result<ExportRequest, InvalidRequest>,
    /// The schedule that made it, which may be gone.
    pub schedule: Option<ScheduleId>,
    /// Where its object is, below the prefix of the organization.
    pub key_prefix: Option<KeyPrefix>,
    /// What has become of it.
    pub state: JobState,
    /// How far it is; never goes back.
    pub progress: Progress,
    /// Rows written so far.
    pub rows_exported: u64,
    /// Rows that the plan expects; `None` before there is a plan.
    pub rows_estimated: Option<u64>,
    /// When it was requested.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When anything last changed.
    pub updated_at: DateTime<Utc>,
    /// Where in a trace it was requested, if it was traced.
    pub trace: Option<TraceParent>,
}

impl ExportJob {
    /// Returns a job that has just been requested, by no schedule.
    #[must_use]
    pub fn requested(
        id: JobId,
        user: UserId,
        organization: OrganizationId,
        narrowed_to: Narrowing,
        request: ExportRequest,
        trace: Option<TraceParent>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            user,
            organization,
            narrowed_to,
            request: Ok(request),
            schedule: None,
            key_prefix: None,
            state: JobState::Pending,
            progress: Progress::default(),
            rows_exported: 0,
            rows_estimated: None,
            created_at,
            started_at: None,
            updated_at: created_at,
            trace,
        }
    }

    /// Returns the job as it was when it had just been requested.
    #[must_use]
    pub fn as_requested(self) -> Self {
        Self {
            state: JobState::Pending,
            progress: Progress::default(),
            rows_exported: 0,
            rows_estimated: None,
            started_at: None,
            updated_at: self.created_at,
            ..self
        }
    }
}

/// The state of a job with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waits for a worker.
    Pending,
    /// A worker has the lease.
    Processing,
    /// The files are there.
    Completed {
        /// The files.
        files: ExportedFiles,
        /// Since when.
        completed_at: DateTime<Utc>,
        /// Until when.
        expires_at: DateTime<Utc>,
    },
    /// Another module completed it before this service took the table over.
    Adopted {
        /// Where that module says that the file is.
        url: Option<String>,
        /// The size of the file, where it is known.
        size_bytes: Option<u64>,
        /// Since when.
        completed_at: DateTime<Utc>,
    },
    /// There will be no file.
    Failed {
        /// Why.
        failure: Failure,
        /// Since when.
        completed_at: DateTime<Utc>,
    },
    /// Somebody cancelled it.
    Cancelled {
        /// Since when.
        completed_at: DateTime<Utc>,
    },
    /// The file was there and has been deleted.
    Expired {
        /// When it was completed.
        completed_at: DateTime<Utc>,
        /// Since when it is gone.
        expires_at: DateTime<Utc>,
        /// The same, when somebody deleted it before its time.
        deleted_at: Option<DateTime<Utc>>,
    },
}

impl JobState {
    /// Returns the state without its data.
    pub fn status(&self) -> JobStatus {
        match self {
            Self::Pending => JobStatus::Pending,
            Self::Processing => JobStatus::Processing,
            Self::Completed { .. } | Self::Adopted { .. } => JobStatus::Completed,
            Self::Failed { .. } => JobStatus::Failed,
            Self::Cancelled { .. } => JobStatus::Cancelled,
            Self::Expired { .. } => JobStatus::Expired,
        }
    }
}

/// The files of a completed job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportedFiles {
    /// There is one, as a rule.
    One(ExportedFile),
    /// The export was split.
    Several(FileTotals),
}

/// What the files of a job are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileTotals {
    /// How many there are.
    pub count: u32,
    /// Their size, compressed.
    pub size_bytes: u64,
    /// How many rows they hold.
    pub rows: u64,
}

impl ExportedFiles {
    /// Returns what they are together.
    pub fn totals(&self) -> FileTotals {
        match self {
            Self::One(file) => FileTotals {
                count: 1,
                size_bytes: file.size_bytes,
                rows: file.rows,
            },
            Self::Several(totals) => *totals,
        }
    }

    /// Returns the file if it is the only one.
    pub fn only(&self) -> Option<&ExportedFile> {
        match self {
            Self::One(file) => Some(file),
            Self::Several(_) => None,
        }
    }
}

impl From<Vec<ExportedFile>> for ExportedFiles {
    fn from(mut files: Vec<ExportedFile>) -> Self {
        if files.len() == 1
            && let Some(file) = files.pop()
        {
            return Self::One(file);
        }
        Self::Several(FileTotals {
            count: u32::try_from(files.len()).unwrap_or(u32::MAX),
            size_bytes: files.iter().map(|file| file.size_bytes).sum(),
            rows: files.iter().map(|file| file.rows).sum(),
        })
    }
}

impl From<ExportedFile> for ExportedFiles {
    fn from(file: ExportedFile) -> Self {
        Self::One(file)
    }
}

/// A file of a completed job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its key in the bucket.
    pub object_key: String,
    /// Its size, compressed.
    pub size_bytes: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// The name of a state, in Postgres and in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// See [`JobState::Pending`].
    Pending,
    /// See [`JobState::Processing`].
    Processing,
    /// See [`JobState::Completed`].
    Completed,
    /// See [`JobState::Failed`].
    Failed,
    /// See [`JobState::Cancelled`].
    Cancelled,
    /// See [`JobState::Expired`].
    Expired,
}

impl JobStatus {
    /// Every status.
    pub const ALL: &[Self] = &[
        Self::Pending,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Processing => "PROCESSING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// A text that is no [`JobStatus`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown job status {0:?}")]
pub struct UnknownStatus(String);

/// How far a job is, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Progress(u8);

impl Progress {
    /// The progress of a job that is done.
    pub const DONE: Self = Self(100);

    /// Computes the progress of `done` out of `estimated` rows; at most 99, since only a whole
    /// file is 100.
    pub fn of_rows(done: u64, estimated: u64) -> Self {
        let percent = u128::from(done) * 100 / u128::from(estimated.max(1));
        Self(u8::try_from(percent).map_or(99, |percent| percent.min(99)))
    }

    /// Takes a percentage, or nothing when it is over 100.
    pub fn new(percent: u8) -> Option<Self> {
        (percent <= 100).then_some(Self(percent))
    }

    /// Returns the percentage.
    pub fn percent(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{JobStatus, Progress};

    #[test]
    fn every_status_reads_back() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
    }

    #[test]
    fn progress_is_only_full_when_the_file_is_whole() {
        assert_eq!(Progress::of_rows(0, 0).percent(), 0);
        assert_eq!(Progress::of_rows(5, 10).percent(), 50);
        assert_eq!(Progress::of_rows(10, 10).percent(), 99);
        assert_eq!(Progress::of_rows(u64::MAX, 1).percent(), 99);
    }
}
