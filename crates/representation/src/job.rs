//! An export job as clients see it.

use chrono::{DateTime, Utc};
use domain::{
    Compression, DataType, ErrorCode, ExportJob, FileTotals, Format, JobId, JobState, JobStatus,
    Progress, ScheduleId, UserId,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::links::Links;
use crate::vocabulary;

/// An export job as clients see it. Every member is always there; what is not known is null.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Export)]
pub struct JobRepresentation<'a> {
    #[schema(value_type = Uuid)]
    job_id: JobId,
    /// Who requested it.
    #[schema(value_type = Uuid)]
    user_id: UserId,
    #[schema(schema_with = vocabulary::job_status)]
    status: JobStatus,
    /// 0 to 100; never goes back.
    #[schema(value_type = u8, maximum = 100)]
    progress: Progress,
    #[schema(value_type = String)]
    data_type: &'a DataType,
    #[schema(schema_with = vocabulary::format)]
    format: Format,
    #[schema(schema_with = vocabulary::compression)]
    compression: Compression,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    /// As they were posted.
    #[schema(value_type = Option<Object>)]
    filters: Option<&'a Value>,
    columns: Option<&'a [String]>,
    /// With the defaults filled in.
    #[schema(value_type = Object)]
    options: Value,
    /// The schedule that made it, which may be gone.
    #[schema(value_type = Option<Uuid>)]
    schedule_id: Option<ScheduleId>,
    rows_exported: u64,
    /// About how many rows there are, once they have been counted.
    rows_estimated: Option<u64>,
    /// The file, if it is the only one.
    file: Option<File<'a>>,
    /// What the files of a completed export are together.
    files: Option<Files>,
    error: Option<Failure<'a>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    /// When somebody deleted the file before it expired.
    deleted_at: Option<DateTime<Utc>>,
    /// Where the file can be had, while it is there and the only one.
    download_url: Option<String>,
    /// Where all is said of the files, while they are there.
    manifest_url: Option<String>,
}

/// The files of a completed job.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Files {
    /// How many there are.
    count: u32,
    size_bytes: u64,
    rows: u64,
}

impl From<FileTotals> for Files {
    fn from(totals: FileTotals) -> Self {
        Self {
            count: totals.count,
            size_bytes: totals.size_bytes,
            rows: totals.rows,
        }
    }
}

/// The only file of a completed job.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct File<'a> {
    name: String,
    size_bytes: u64,
    rows: u64,
    sha256: &'a str,
}

/// Why a job failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Failure<'a> {
    #[schema(schema_with = vocabulary::error_code)]
    code: ErrorCode,
    message: &'a str,
}

impl<'a> JobRepresentation<'a> {
    /// Shows a job.
    pub fn new(job: &'a ExportJob, links: &Links) -> Self {
        let request = &job.request;
        let mut shown = Self {
            job_id: job.id,
            user_id: job.user,
            status: job.state.status(),
            progress: job.progress,
            data_type: &request.data_type,
            format: request.output.format(),
            compression: request.output.compression(),
            start_time: request.range.start(),
            end_time: request.range.end(),
            filters: request.filters.as_ref().map(domain::Filters::as_posted),
            columns: request.columns.as_deref(),
            options: request.options_json(),
            schedule_id: job.schedule,
            rows_exported: job.rows_exported,
            rows_estimated: job.rows_estimated,
            file: None,
            files: None,
            error: None,
            created_at: job.created_at,
            started_at: job.started_at,
            updated_at: job.updated_at,
            completed_at: None,
            expires_at: None,
            deleted_at: None,
            download_url: None,
            manifest_url: None,
        };
        shown.add_state(job, links);
        shown
    }

    fn add_state(&mut self, job: &'a ExportJob, links: &Links) {
        match &job.state {
            JobState::Pending | JobState::Processing => {}
            JobState::Completed {
                files,
                completed_at,
                expires_at,
            } => {
                self.file = files.only().map(|file| File {
                    name: job.request.file_name(1),
                    size_bytes: file.size_bytes,
                    rows: file.rows,
                    sha256: &file.sha256,
                });
                self.files = Some(files.totals().into());
                self.completed_at = Some(*completed_at);
                self.expires_at = Some(*expires_at);
                self.download_url = files.only().map(|_| links.download(job.id));
                self.manifest_url = Some(links.manifest(job.id));
            }
            JobState::Failed {
                failure,
                completed_at,
            } => {
                self.error = Some(Failure {
                    code: failure.code,
                    message: &failure.message,
                });
                self.completed_at = Some(*completed_at);
            }
            JobState::Cancelled { completed_at } => self.completed_at = Some(*completed_at),
            JobState::Expired {
                completed_at,
                expires_at,
                deleted_at,
            } => {
                self.completed_at = Some(*completed_at);
                self.expires_at = Some(*expires_at);
                self.deleted_at = *deleted_at;
            }
        }
    }
}
