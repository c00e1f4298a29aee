//! A job as clients see it at one moment, with the tag by which they recognize it.

use chrono::{DateTime, Utc};
use domain::{ExportJob, JobId, JobStatus};
use representation::{JobRepresentation, Links};

use crate::entity_tag::EntityTag;

/// A job as clients see it at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) id: JobId,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) status: JobStatus,
    pub(crate) etag: EntityTag,
    /// The representation, as JSON on one line.
    pub(crate) body: String,
}

impl Snapshot {
    /// Writes the representation of a job.
    ///
    /// # Errors
    ///
    /// When there is no JSON for it.
    pub(crate) fn of(job: &ExportJob, links: &Links) -> serde_json::Result<Self> {
        let body = serde_json::to_string(&JobRepresentation::new(job, links))?;
        Ok(Self {
            id: job.id,
            updated_at: job.updated_at,
            status: job.state.status(),
            etag: EntityTag::of(&body),
            body,
        })
    }

    /// Tells whether no worker will do anything for the job any more.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.status, JobStatus::Pending | JobStatus::Processing)
    }

    /// Tells whether the job will stay as it is for ever: only a file can still go.
    pub(crate) fn is_final(&self) -> bool {
        self.has_ended() && self.status != JobStatus::Completed
    }
}
