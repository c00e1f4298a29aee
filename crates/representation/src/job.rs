//! An export job as clients see it.

use chrono::{DateTime, Utc};
use domain::{
    Compression, ErrorCode, ExportJob, FileTotals, Filters, Format, JobId, JobState, JobStatus,
    Narrowing, Output, Progress, ScheduleId, UserId,
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
    /// The fields and values to which the token of the request narrowed the rows; empty for all rows of the
    /// organization.
    #[schema(value_type = HashMap<String, String>)]
    narrowed_to: &'a Narrowing,
    #[schema(schema_with = vocabulary::job_status)]
    status: JobStatus,
    /// 0 to 100; never goes back.
    #[schema(value_type = u8, maximum = 100)]
    progress: Progress,
    data_type: &'a str,
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
    /// What is known of the file of an export that another module has completed.
    adopted_file: Option<AdoptedFile<'a>>,
}

/// The file of an export that another module completed before this service took its table over.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct AdoptedFile<'a> {
    /// Where that module says that it is.
    url: Option<&'a str>,
    size_bytes: Option<u64>,
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
        let request = Requested::by(job);
        let mut shown = Self {
            job_id: job.id,
            user_id: job.user,
            narrowed_to: &job.narrowed_to,
            status: job.state.status(),
            progress: job.progress,
            data_type: request.data_type,
            format: request.output.format(),
            compression: request.output.compression(),
            start_time: request.start,
            end_time: request.end,
            filters: request.filters,
            columns: request.columns,
            options: request.options,
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
            adopted_file: None,
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
                let request = job.request.as_ref().ok();
                let only = files.only().zip(request);
                self.file = only.map(|(file, request)| File {
                    name: request.file_name(1),
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
            JobState::Adopted {
                url,
                size_bytes,
                completed_at,
            } => {
                self.adopted_file = Some(AdoptedFile {
                    url: url.as_deref(),
                    size_bytes: *size_bytes,
                });
                self.completed_at = Some(*completed_at);
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

/// What a job asks for, as it is shown.
struct Requested<'a> {
    data_type: &'a str,
    output: &'a Output,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    filters: Option<&'a Value>,
    columns: Option<&'a [String]>,
    options: Value,
}

impl<'a> Requested<'a> {
    fn by(job: &'a ExportJob) -> Self {
        match &job.request {
            Ok(request) => Self {
                data_type: request.data_type.as_str(),
                output: &request.output,
                start: request.range.start(),
                end: request.range.end(),
                filters: request.filters.as_ref().map(Filters::as_posted),
                columns: request.columns.as_deref(),
                options: request.options_json(),
            },
            Err(invalid) => Self {
                data_type: &invalid.data_type,
                output: &invalid.output,
                start: invalid.start,
                end: invalid.end,
                filters: invalid.filters.as_ref(),
                columns: None,
                options: invalid.output.options_json(),
            },
        }
    }
}
