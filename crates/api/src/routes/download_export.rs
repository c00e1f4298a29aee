//! `GET /api/v1/export/{id}/download`: the file of a job.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{InvalidHeaderValue, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::{Classify, ErrorClass, ExportJob, ExportedFile, Failure, JobState, JobStatus};
use sink::{ObjectKind, SinkError};
use store::StoreError;
use store::events::{self, EventKind};

use crate::app::App;
use crate::auth::Principal;
use crate::client::Client;
use crate::problem::{Problem, ProblemCode};
use crate::routes::{JobPath, POLL_AFTER};

/// How long a link works: a client follows it at once.
const LINK_LIFE: Duration = Duration::from_mins(5);

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum DownloadExportError {
    /// The caller's organization has no such job.
    #[error("there is no such job")]
    NotFound,
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
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No link could be signed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The link is no header.
    #[error("the link is no header")]
    Link(#[from] InvalidHeaderValue),
}

impl IntoResponse for DownloadExportError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::NotFound => Problem::not_found(),
            Self::NotReady(status) => {
                let detail =
                    format!("The export is {status}; ask for its status until it is COMPLETED.");
                Problem::new(ProblemCode::NotReady, detail)
                    .job_status(status)
                    .header(RETRY_AFTER, POLL_AFTER)
            }
            Self::Failed(failure) => Problem::new(ProblemCode::ExportFailed, failure.message)
                .job_status(JobStatus::Failed),
            Self::Cancelled => {
                let detail = "Request the export again if the file is needed.";
                Problem::new(ProblemCode::ExportCancelled, detail).job_status(JobStatus::Cancelled)
            }
            Self::Expired => {
                let detail =
                    "Its time is over. Request the export again if the file is still needed.";
                Problem::new(ProblemCode::Expired, detail).job_status(JobStatus::Expired)
            }
            Self::Deleted => {
                let detail = "It was deleted before its time. Request the export again if the file is still needed.";
                Problem::new(ProblemCode::Expired, detail).job_status(JobStatus::Expired)
            }
            Self::Store(error) => error.into(),
            Self::Sink(error) => match error.class() {
                ErrorClass::Transient { .. } => Problem::unavailable(error),
                ErrorClass::Permanent | ErrorClass::Cancelled => Problem::internal(error),
            },
            Self::Link(_) => Problem::internal(self),
        };
        problem.into_response()
    }
}

/// Answers 302 to a fresh presigned URL, and writes into the audit trail that it did.
///
/// # Errors
///
/// 404 when the caller's organization has no such job, 409 when it has no file, and 410 when the
/// file has expired or was deleted.
pub async fn download_export(
    State(app): State<App>,
    principal: Principal,
    client: Client,
    JobPath(id): JobPath,
) -> Result<Response, DownloadExportError> {
    let mut connection = store::acquire(&app.pool).await?;
    let job = store::jobs::get(&mut connection, principal.organization, id)
        .await?
        .ok_or(DownloadExportError::NotFound)?;
    let file = file(&job)?;
    let kind = ObjectKind {
        content_type: job.request.output.content_type().to_owned(),
        file_name: job.request.file_name(),
    };
    let link = app.sink.presign(&file.object_key, &kind, LINK_LIFE).await?;
    let actor = client.acting_for(principal.user);
    events::append(&mut connection, id, EventKind::Downloaded, Some(&actor)).await?;
    let location = HeaderValue::try_from(link.url)?;
    Ok((StatusCode::FOUND, [(LOCATION, location)]).into_response())
}

fn file(job: &ExportJob) -> Result<&ExportedFile, DownloadExportError> {
    match &job.state {
        JobState::Completed { file, .. } => Ok(file),
        state @ (JobState::Pending | JobState::Processing) => {
            Err(DownloadExportError::NotReady(state.status()))
        }
        JobState::Failed { failure, .. } => Err(DownloadExportError::Failed(failure.clone())),
        JobState::Cancelled { .. } => Err(DownloadExportError::Cancelled),
        JobState::Expired { deleted_at, .. } => Err(match deleted_at {
            Some(_) => DownloadExportError::Deleted,
            None => DownloadExportError::Expired,
        }),
    }
}
