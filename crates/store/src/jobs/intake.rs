//! Jobs that another module of the platform inserted, with the columns of the specification alone.

use domain::JobId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Fills in the rest of such a job, as the API has it by default, and the event that it was requested.
/// Any other job stays as it is.
pub(super) async fn complete(conn: &mut PgConnection, job: JobId) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH completed AS (
             UPDATE export_jobs
             SET options = '{}',
                 compression = COALESCE(
                     compression, CASE format WHEN 'parquet' THEN 'none' ELSE 'gzip' END
                 )
             WHERE job_id = $1 AND options IS NULL
             RETURNING job_id, user_id, created_at
         )
         INSERT INTO export_events (job_id, kind, user_id, at)
         SELECT job_id, 'requested', user_id, created_at FROM completed
         -- One that was there when the table was taken over has an event that says so.
         WHERE NOT EXISTS (SELECT FROM export_events AS event WHERE event.job_id = completed.job_id)",
        job.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
