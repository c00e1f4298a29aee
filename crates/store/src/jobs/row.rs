//! A row of `export_jobs`, read into the domain.

use chrono::{DateTime, Utc};
use domain::{
    ErrorCode, ExportJob, ExportRequest, ExportedFile, ExportedFiles, Failure, FileTotals, Format,
    InvalidRequest, JobId, JobState, JobStatus, KeyPrefix, Narrowing, Pointer, Progress,
    RequestLimits, TraceParent, Violation,
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;

/// Reads whole rows of `export_jobs`, called `job`, with what follows `FROM`.
///
/// `shown_status` is the status as everybody sees it: a file is not to be had any more as soon as
/// its time is over, whenever it is removed.
macro_rules! select_jobs {
    ($rest:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::jobs::row::JobRow,
            r#"SELECT job_id, user_id, organization_id, data_type, format, compression, start_time,
                      end_time, filters::text AS filters, columns::text AS columns,
                      options::text AS options, progress, rows_exported, rows_estimated,
                      object_key, files, file_url, file_size, adopted, sha256, expires_at, deleted_at, error_code,
                      error_message, created_at, started_at, updated_at, completed_at, trace_parent,
                      schedule_id, key_prefix, narrowed_to AS "narrowed_to: sqlx::types::Json<domain::Narrowing>",
                      shown_status AS "status!"
               FROM (
                   SELECT *, CASE WHEN status = 'COMPLETED' AND expires_at <= now() THEN 'EXPIRED'
                                  ELSE status END AS shown_status
                   FROM export_jobs
               ) AS job "# + $rest $(+ $more)*
            $(, $argument)*
        )
    };
}
pub(super) use select_jobs;

/// Returns a job that must be there, whoever it belongs to.
pub(crate) async fn load(conn: &mut PgConnection, job: JobId) -> Result<ExportJob, StoreError> {
    select_jobs!("WHERE job_id = $1", job.as_uuid())
        .fetch_one(conn)
        .await?
        .try_into()
}

/// The columns of a job, as they stand in the table.
pub(super) struct JobRow {
    pub(super) job_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) organization_id: Uuid,
    pub(super) data_type: String,
    pub(super) format: String,
    pub(super) compression: Option<String>,
    pub(super) start_time: DateTime<Utc>,
    pub(super) end_time: DateTime<Utc>,
    // Texts: JSONB holds what serde_json does not read, such as 1e400.
    pub(super) filters: Option<String>,
    pub(super) columns: Option<String>,
    pub(super) options: Option<String>,
    pub(super) status: String,
    pub(super) progress: i32,
    pub(super) rows_exported: i64,
    pub(super) rows_estimated: Option<i64>,
    pub(super) object_key: Option<String>,
    pub(super) files: i32,
    pub(super) file_url: Option<String>,
    pub(super) file_size: Option<i64>,
    pub(super) adopted: bool,
    pub(super) sha256: Option<String>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) deleted_at: Option<DateTime<Utc>>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) completed_at: Option<DateTime<Utc>>,
    pub(super) trace_parent: Option<String>,
    pub(super) schedule_id: Option<Uuid>,
    pub(super) key_prefix: Option<String>,
    pub(super) narrowed_to: Json<Narrowing>,
}

impl TryFrom<JobRow> for ExportJob {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let job = JobId::from(row.job_id);
        row.read()
            .map_err(|detail| StoreError::Corrupt { job, detail })
    }
}

impl JobRow {
    fn read(self) -> Result<ExportJob, String> {
        Ok(ExportJob {
            id: self.job_id.into(),
            user: self.user_id.into(),
            organization: self.organization_id.into(),
            narrowed_to: self.narrowed_to.0.clone(),
            request: self.request()?,
            schedule: self.schedule_id.map(Into::into),
            key_prefix: self
                .key_prefix
                .as_deref()
                .map(KeyPrefix::parse)
                .transpose()
                .map_err(|_| "column key_prefix")?,
            progress: u8::try_from(self.progress)
                .ok()
                .and_then(Progress::new)
                .ok_or("column progress")?,
            rows_exported: count(self.rows_exported, "rows_exported")?,
            rows_estimated: self
                .rows_estimated
                .map(|rows| count(rows, "rows_estimated"))
                .transpose()?,
            created_at: self.created_at,
            started_at: self.started_at,
            updated_at: self.updated_at,
            trace: self.trace_parent.as_deref().and_then(TraceParent::parse),
            state: self.state()?,
        })
    }

    /// Reads the columns as the body that they came from, with the one parser there is.
    fn request(&self) -> Result<Result<ExportRequest, InvalidRequest>, String> {
        let format = Format::parse(&self.format).ok_or("column format")?;
        let mut unreadable = Vec::new();
        let mut json = |column: &Option<String>, name| {
            let read = serde_json::from_str(column.as_deref().unwrap_or("null"));
            read.unwrap_or_else(|_| {
                let at = Pointer::root().child(name);
                unreadable.push(Violation::new(
                    at,
                    "is nested too deeply, or has a number that is too large",
                ));
                Value::Null
            })
        };
        let filters: Value = json(&self.filters, "filters");
        let columns: Value = json(&self.columns, "columns");
        let options: Value = json(&self.options, "options");
        let body = json!({
            "data_type": self.data_type,
            "format": self.format,
            "compression": self.compression,
            "start_time": self.start_time.to_rfc3339(),
            "end_time": self.end_time.to_rfc3339(),
            "filters": filters,
            "columns": columns,
            "options": options,
        });
        let request = match unreadable {
            unreadable if unreadable.is_empty() => {
                ExportRequest::parse(&body, &RequestLimits::NONE)
            }
            unreadable => Err(unreadable),
        };
        Ok(request.map_err(|violations| {
            let window = (self.start_time, self.end_time);
            let filters = Some(filters).filter(|filters| !filters.is_null());
            InvalidRequest::new(&self.data_type, format, window, filters, violations)
        }))
    }

    fn files(self) -> Result<ExportedFiles, String> {
        let size_bytes = count(self.file_size.ok_or("column file_size")?, "file_size")?;
        let rows = count(self.rows_exported, "rows_exported")?;
        if self.files != 1 {
            return Ok(ExportedFiles::Several(FileTotals {
                count: u32::try_from(self.files).map_err(|_| "column files")?,
                size_bytes,
                rows,
            }));
        }
        Ok(ExportedFiles::One(ExportedFile {
            object_key: self.object_key.ok_or("column object_key")?,
            size_bytes,
            rows,
            sha256: self.sha256.ok_or("column sha256")?,
        }))
    }

    fn state(self) -> Result<JobState, String> {
        let completed_at = self.completed_at.ok_or("column completed_at");
        let expires_at = self.expires_at.ok_or("column expires_at");
        Ok(match self.status.parse().map_err(|_| "column status")? {
            JobStatus::Pending => JobState::Pending,
            JobStatus::Processing => JobState::Processing,
            JobStatus::Completed if self.adopted => JobState::Adopted {
                size_bytes: self
                    .file_size
                    .map(|size| count(size, "file_size"))
                    .transpose()?,
                url: self.file_url,
                completed_at: completed_at?,
            },
            JobStatus::Completed => JobState::Completed {
                files: self.files()?,
                completed_at: completed_at?,
                expires_at: expires_at?,
            },
            JobStatus::Failed => JobState::Failed {
                failure: Failure {
                    code: self
                        .error_code
                        .and_then(|code| code.parse::<ErrorCode>().ok())
                        .ok_or("column error_code")?,
                    message: self.error_message.ok_or("column error_message")?,
                },
                completed_at: completed_at?,
            },
            JobStatus::Cancelled => JobState::Cancelled {
                completed_at: completed_at?,
            },
            JobStatus::Expired => JobState::Expired {
                completed_at: completed_at?,
                expires_at: expires_at?,
                deleted_at: self.deleted_at,
            },
        })
    }
}

fn count(value: i64, column: &str) -> Result<u64, String> {
    u64::try_from(value).map_err(|_| format!("column {column}"))
}

/// Makes a BIGINT of a number of rows or bytes; what no disk can hold becomes the largest.
pub(crate) fn bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
