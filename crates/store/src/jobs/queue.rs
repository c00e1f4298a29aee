//! How much there is to do.

use std::time::Duration;

use sqlx::PgConnection;

use crate::error::StoreError;

/// The jobs that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Those that a worker may take now.
    pub due: u64,
    /// Those that wait until they are tried again.
    pub delayed: u64,
    /// Those that workers have.
    pub processing: u64,
    /// For how long the first of those that are due has been so; nothing when none is.
    pub oldest_due: Duration,
}

/// Counts the jobs that have not ended. Those that have are not looked at, however many there are.
///
/// # Errors
///
/// When Postgres fails.
pub async fn queue(conn: &mut PgConnection) -> Result<Queue, StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE due_at <= now()) AS "due!",
                  count(*) FILTER (WHERE due_at > now() AND status = 'PENDING') AS "delayed!",
                  count(*) FILTER (WHERE due_at > now() AND status = 'PROCESSING') AS "processing!",
                  COALESCE(GREATEST(EXTRACT(EPOCH FROM now() - min(due_at)), 0), 0)::float8
                      AS "oldest_due_s!"
           FROM (
               SELECT status, COALESCE(lease_until, run_after) AS due_at FROM export_jobs
               WHERE status IN ('PENDING', 'PROCESSING')
           ) AS job"#,
    )
    .fetch_one(conn)
    .await?;
    Ok(Queue {
        due: row.due.unsigned_abs(),
        delayed: row.delayed.unsigned_abs(),
        processing: row.processing.unsigned_abs(),
        oldest_due: Duration::try_from_secs_f64(row.oldest_due_s).unwrap_or_default(),
    })
}
