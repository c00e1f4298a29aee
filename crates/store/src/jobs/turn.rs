//! Whose turn it is, and which job is next: one statement.

use domain::{JobId, WorkerId};
use sqlx::PgConnection;

use super::claim::Terms;
use crate::error::StoreError;

/// The job that is next.
pub(super) struct Turn {
    pub(super) job: JobId,
    /// Whether nobody has had it before.
    pub(super) first: bool,
    /// Whether another worker let its lease expire.
    pub(super) taken_over: bool,
    /// What taking it has made of it; nothing where the terms do not allow to take it.
    pub(super) taken: Option<Taken>,
}

/// A job that was taken.
pub(super) struct Taken {
    pub(super) token: i64,
    pub(super) attempts: u32,
    pub(super) deaths: u32,
}

/// Takes the job that is next. Until the transaction ends it is locked, taken or not.
#[expect(clippy::too_many_lines, reason = "nearly all of it is one statement")]
pub(super) async fn take(
    conn: &mut PgConnection,
    owner: &WorkerId,
    terms: &Terms<'_>,
) -> Result<Option<Turn>, StoreError> {
    let limits = terms.running;
    // lease_until is there exactly while a worker has the job, so the earlier of "may be tried
    // again" and "its lease ends" is one expression, and one index serves both.
    let row = sqlx::query!(
        r#"WITH RECURSIVE first AS (
               -- Of each organization the job that is due first, with one step through the index
               -- from one to the next.
               (SELECT organization_id, COALESCE(lease_until, run_after) AS due_at
                FROM export_jobs
                WHERE status IN ('PENDING', 'PROCESSING')
                ORDER BY organization_id, COALESCE(lease_until, run_after)
                LIMIT 1)
               UNION ALL
               SELECT next.organization_id, next.due_at
               FROM first CROSS JOIN LATERAL (
                   SELECT organization_id, COALESCE(lease_until, run_after) AS due_at
                   FROM export_jobs
                   WHERE status IN ('PENDING', 'PROCESSING')
                     AND organization_id > first.organization_id
                   ORDER BY organization_id, COALESCE(lease_until, run_after)
                   LIMIT 1
               ) AS next
           ), running AS (
               SELECT organization_id, count(*) AS jobs
               FROM export_jobs
               WHERE status = 'PROCESSING' AND lease_until > now()
               GROUP BY organization_id
           ), room AS (
               SELECT organization_id, due_at, COALESCE(running.jobs, 0) AS running,
                      COALESCE(limits.jobs, $5) - COALESCE(running.jobs, 0) AS jobs
               FROM first LEFT JOIN running USING (organization_id)
               LEFT JOIN unnest($6::uuid[], $7::bigint[]) AS limits (organization_id, jobs)
                   USING (organization_id)
           ), turns AS (
               SELECT organization_id, jobs
               FROM room
               WHERE due_at <= now() AND jobs > 0
               ORDER BY running, (
                   SELECT max(started_at) FROM export_jobs
                   WHERE organization_id = room.organization_id
               ) NULLS FIRST, due_at
           ), due AS (
               -- Organizations are tried in turn; no row but the one that is taken is locked. Each
               -- offers as many jobs as it has room for, so that claims of the same moment, which
               -- skip each other's, take no more together.
               SELECT job.*
               FROM turns CROSS JOIN LATERAL (
                   SELECT job.job_id, job.started_at, job.status,
                          job.lost_leases + (job.status = 'PROCESSING')::int AS lost_leases
                   FROM (
                       SELECT job_id, COALESCE(lease_until, run_after) AS due_at
                       FROM export_jobs
                       WHERE organization_id = turns.organization_id
                         AND status IN ('PENDING', 'PROCESSING')
                         AND COALESCE(lease_until, run_after) <= now()
                       ORDER BY due_at
                       LIMIT turns.jobs
                   ) AS offered
                   JOIN export_jobs AS job USING (job_id)
                   WHERE job.status IN ('PENDING', 'PROCESSING')
                     AND COALESCE(job.lease_until, job.run_after) <= now()
                   ORDER BY offered.due_at
                   LIMIT 1
                   FOR NO KEY UPDATE OF job SKIP LOCKED
               ) AS job
               LIMIT 1
           ), claimed AS (
               UPDATE export_jobs AS job
               SET status = 'PROCESSING', token = job.token + 1, lost_leases = due.lost_leases,
                   attempts = job.attempts + (due.status = 'PENDING')::int,
                   lease_owner = $1, lease_until = now() + make_interval(secs => $2),
                   started_at = COALESCE(job.started_at, now()), updated_at = now()
               FROM due WHERE job.job_id = due.job_id AND NOT ($3 AND due.lost_leases = $4)
               RETURNING job.job_id, job.token, job.attempts, job.lost_leases
           )
           SELECT due.job_id, due.started_at IS NULL AS "first!",
                  due.status = 'PROCESSING' AS "taken_over!",
                  claimed.token AS "token?", claimed.attempts AS "attempts?",
                  claimed.lost_leases AS "deaths?"
           FROM due LEFT JOIN claimed USING (job_id)"#,
        owner.as_str(),
        terms.lease.as_secs_f64(),
        terms.busy,
        i32::try_from(terms.alone_after).unwrap_or(i32::MAX),
        limits.default,
        &limits.organizations,
        &limits.of_each,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Turn {
        job: row.job_id.into(),
        first: row.first,
        taken_over: row.taken_over,
        taken: row
            .token
            .zip(row.attempts)
            .zip(row.deaths)
            .map(|((token, attempts), deaths)| Taken {
                token,
                attempts: attempts.unsigned_abs(),
                deaths: deaths.unsigned_abs(),
            }),
    }))
}
