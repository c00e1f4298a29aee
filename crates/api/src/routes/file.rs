//! The file of a job, or why there is none.

use std::time::Duration;

use axum::http::Method;
use axum::http::header::RETRY_AFTER;
use domain::{ExportJob, ExportedFile, Failure, JobState, JobStatus};
use sink::{LinkMethod, ObjectKind, PresignedUrl, Sink, SinkError};

use crate::problem::{Problem, ProblemCode};
use crate::routes::POLL_AFTER;

/// How long a link to the storage works: a client follows it at once.
const LINK_LIFE: Duration = Duration::from_mins(5);

/// Why a job has no file.
#[derive(Debug, thiserror::Error)]
pub enum NoFile {
    /// The job is waiting or running.
    #[error("the job is {0}")]
    NotReady(JobStatus),
    /// The job has failed.
    #[error("the job has failed: {}", .0.code)]
    Failed(Failure),
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// The file was there for its time.
    #[error("the file has expired")]
    Expired,
    /// Somebody deleted the file.
    #[error("the file was deleted")]
    Deleted,
}

impl From<NoFile> for Problem {
    fn from(error: NoFile) -> Self {
        match error {
            NoFile::NotReady(status) => {
                let detail =
                    format!("The export is {status}; ask for its status until it is COMPLETED.");
                Self::new(ProblemCode::NotReady, detail)
                    .job_status(status)
                    .header(RETRY_AFTER, POLL_AFTER)
            }
            NoFile::Failed(failure) => {
                Self::new(ProblemCode::ExportFailed, failure.message).job_status(JobStatus::Failed)
            }
            NoFile::Cancelled => {
                let detail = "Request the export again if the file is needed.";
                Self::new(ProblemCode::ExportCancelled, detail).job_status(JobStatus::Cancelled)
            }
            NoFile::Expired => {
                let detail =
                    "Its time is over. Request the export again if the file is still needed.";
                Self::new(ProblemCode::Expired, detail).job_status(JobStatus::Expired)
            }
            NoFile::Deleted => {
                let detail = "It was deleted before its time. Request the export again if the file is still needed.";
                Self::new(ProblemCode::Expired, detail).job_status(JobStatus::Expired)
            }
        }
    }
}

/// Returns the file of a job.
///
/// # Errors
///
/// Why there is none.
pub(super) fn file(job: &ExportJob) -> Result<&ExportedFile, NoFile> {
    match &job.state {
        JobState::Completed { file, .. } => Ok(file),
        state @ (JobState::Pending | JobState::Processing) => Err(NoFile::NotReady(state.status())),
        JobState::Failed { failure, .. } => Err(NoFile::Failed(failure.clone())),
        JobState::Cancelled { .. } => Err(NoFile::Cancelled),
        JobState::Expired { deleted_at, .. } => Err(match deleted_at {
            Some(_) => NoFile::Deleted,
            None => NoFile::Expired,
        }),
    }
}

/// Returns how the file of a job is shown to a client.
pub(super) fn kind(job: &ExportJob) -> ObjectKind {
    ObjectKind {
        content_type: job.request.output.content_type().to_owned(),
        file_name: job.request.file_name(),
    }
}

/// Signs a link to the storage, which works with the method that the client has used.
pub(super) async fn presign(
    sink: &Sink,
    method: &Method,
    file: &ExportedFile,
    kind: &ObjectKind,
) -> Result<PresignedUrl, SinkError> {
    let method = match *method {
        Method::HEAD => LinkMethod::Head,
        _ => LinkMethod::Get,
    };
    sink.presign(method, &file.object_key, kind, LINK_LIFE)
        .await
}
