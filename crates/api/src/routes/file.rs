//! The files of a job, or why there is none.

use std::time::Duration;

use axum::http::Method;
use axum::http::header::RETRY_AFTER;
use domain::{ExportJob, ExportRequest, ExportedFile, ExportedFiles, Failure, JobState, JobStatus};
use sink::{LinkMethod, ObjectKind, PresignedUrl, Sink, SinkError};
use store::{PgConnection, StoreError};

use crate::problem::{Problem, ProblemCode};
use crate::routes::POLL_AFTER;

/// How long a link to the storage works: a client follows it at once.
const LINK_LIFE: Duration = Duration::from_mins(5);

/// Why a job has no file, or not the one that is asked for.
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
    /// Another module has made it.
    #[error("the file is not the service's own")]
    Adopted,
    /// The file was there for its time.
    #[error("the file has expired")]
    Expired,
    /// Somebody deleted the file.
    #[error("the file was deleted")]
    Deleted,
    /// There are several, and none was named.
    #[error("there are {0} files")]
    Several(u32),
    /// There are only so many.
    #[error("there are only {0} files")]
    OutOf(u32),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
            NoFile::Adopted => {
                let detail =
                    "Another module made it. The member adopted_file of the export says where.";
                Self::new(ProblemCode::AdoptedFile, detail).job_status(JobStatus::Completed)
            }
            NoFile::Deleted => {
                let detail = "It was deleted before its time. Request the export again if the file is still needed.";
                Self::new(ProblemCode::Expired, detail).job_status(JobStatus::Expired)
            }
            NoFile::Several(count) => {
                let detail = format!("Name one of the {count} files: file=1 is the first.");
                Self::new(ProblemCode::SeveralFiles, detail).job_status(JobStatus::Completed)
            }
            NoFile::OutOf(count) => {
                let detail = format!("The files of the export are numbered from 1 to {count}.");
                Self::new(ProblemCode::FileNotFound, detail).job_status(JobStatus::Completed)
            }
            NoFile::Store(error) => error.into(),
        }
    }
}

/// Returns the files of a job.
///
/// # Errors
///
/// Why there are none.
pub(super) fn files(job: &ExportJob) -> Result<&ExportedFiles, NoFile> {
    match &job.state {
        JobState::Completed { files, .. } => Ok(files),
        JobState::Adopted { .. } => Err(NoFile::Adopted),
        state @ (JobState::Pending | JobState::Processing) => Err(NoFile::NotReady(state.status())),
        JobState::Failed { failure, .. } => Err(NoFile::Failed(failure.clone())),
        JobState::Cancelled { .. } => Err(NoFile::Cancelled),
        JobState::Expired { deleted_at, .. } => Err(match deleted_at {
            Some(_) => NoFile::Deleted,
            None => NoFile::Expired,
        }),
    }
}

/// Returns what a job with files asks for, which was valid when it ran.
///
/// # Errors
///
/// When this version of the service cannot read it any more.
pub(super) fn request(job: &ExportJob) -> Result<&ExportRequest, NoFile> {
    job.request.as_ref().map_err(|_| {
        NoFile::Store(StoreError::Corrupt {
            job: job.id,
            detail: "the request".to_owned(),
        })
    })
}

/// Reads the number of a file, from 1, as far as Postgres counts.
pub(super) fn number(text: &str) -> Result<u32, &'static str> {
    let number = text.parse::<i32>().ok().filter(|number| *number > 0);
    let number = number.map(i32::unsigned_abs);
    number.ok_or("must be a number, 1 for the first file")
}

/// Returns the file of a job that is asked for by its number, from 1, or without one its only file; and how it
/// is shown to a client.
///
/// # Errors
///
/// Why there is none.
pub(super) async fn file(
    connection: &mut PgConnection,
    job: &ExportJob,
    number: Option<u32>,
) -> Result<(ExportedFile, ObjectKind), NoFile> {
    let (file, number) = match (files(job)?, number) {
        (ExportedFiles::One(file), None | Some(1)) => (Some(file.clone()), 1),
        (ExportedFiles::One(_), Some(_)) => (None, 1),
        (ExportedFiles::Several(totals), None) => return Err(NoFile::Several(totals.count)),
        (ExportedFiles::Several(_), Some(number)) => {
            let found = store::files::list(connection, job.id, number, 1).await?;
            (found.into_iter().next(), number)
        }
    };
    let request = request(job)?;
    let kind = ObjectKind {
        content_type: request.output.content_type().to_owned(),
        file_name: request.file_name(number),
    };
    let count = files(job)?.totals().count;
    Ok((file.ok_or(NoFile::OutOf(count))?, kind))
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
