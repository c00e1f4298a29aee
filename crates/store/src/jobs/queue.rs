//! How much there is to do.

use std::time::Duration;

use sqlx::PgConnection;

use crate::error::StoreError;
use crate::quotas::RunningLimits;

/// The jobs that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Those that a worker may take now.
    pub due: u64,
    /// Those that wait until they are tried again.
    pub delayed: u64,
    /// Those that workers have.
    pub processing: u64,
    /// For how long the first of those that are due has been so; nothing when none is. Those that wait
    /// until their organization has fewer jobs at work do not count.
    pub oldest_due: Duration,
}

/// Counts the jobs that have not ended. Those that have are not looked at, however many there are.
///
/// # Errors
///
/// When Postgres fails.
pub async fn queue(conn: &mut PgConnection, limits: &RunningLimits) -> Result<Queue, StoreError> {
    let row = sqlx::query!(
        r#"WITH organizations AS (
               SELECT organization_id, min(due_at) AS first_due_at,
                      count(*) FILTER (WHERE due_at <= now()) AS due,
                      count(*) FILTER (WHERE due_at > now() AND status = 'PENDING') AS delayed,
                      count(*) FILTER (WHERE due_at > now() AND status = 'PROCESSING') AS processing
               FROM (
                   SELECT organization_id, status, COALESCE(lease_until, run_after) AS due_at
                   FROM export_jobs
                   WHERE status IN ('PENDING', 'PROCESSING')
               ) AS job
               GROUP BY organization_id
           )
           SELECT COALESCE(sum(due), 0)::bigint AS "due!",
                  COALESCE(sum(delayed), 0)::bigint AS "delayed!",
                  COALESCE(sum(processing), 0)::bigint AS "processing!",
                  COALESCE(GREATEST(EXTRACT(EPOCH FROM now() - min(first_due_at) FILTER (
                      WHERE processing < COALESCE(limits.jobs, $1)
                  )), 0), 0)::float8 AS "oldest_due_s!"
           FROM organizations
           LEFT JOIN unnest($2::uuid[], $3::bigint[]) AS limits (organization_id, jobs)
               USING (organization_id)"#,
        limits.default,
        &limits.organizations,
        &limits.of_each,
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
