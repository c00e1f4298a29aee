//! What has changed about jobs that somebody looks at.

use chrono::{DateTime, Utc};
use domain::{ExportJob, JobId, JobStatus};
use sqlx::PgConnection;

use super::row::select_jobs;
use crate::error::StoreError;

/// A job that somebody looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The job.
    pub id: JobId,
    /// `updated_at` and the status when it was last seen; `None` for a job that is to be returned in
    /// any case.
    pub seen: Option<(DateTime<Utc>, JobStatus)>,
}

/// Returns, in one query, the jobs that are not as they were when they were last seen. A row that
/// cannot be read is an error of its own.
///
/// # Errors
///
/// When Postgres fails.
pub async fn changed(
    conn: &mut PgConnection,
    watched: &[Watched],
) -> Result<Vec<Result<ExportJob, StoreError>>, StoreError> {
    let ids: Vec<_> = watched.iter().map(|job| job.id.as_uuid()).collect();
    let (times, statuses): (Vec<_>, Vec<_>) = watched
        .iter()
        .map(|job| job.seen.unzip())
        .map(|(time, status)| (time, status.map(JobStatus::as_str)))
        .unzip();
    // Times are compared for being different: that of a transaction that had to wait for another
    // one is the earlier of the two.
    let rows = select_jobs!(
        "JOIN unnest($1::uuid[], $2::timestamptz[], $3::text[])
              AS watched (watched_id, seen_time, seen_status) ON job_id = watched_id
         WHERE (updated_at, shown_status) IS DISTINCT FROM (seen_time, seen_status)",
        &ids,
        &times as &[Option<DateTime<Utc>>],
        &statuses as &[Option<&str>],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(ExportJob::try_from).collect())
}
