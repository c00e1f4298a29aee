//! The right to work on a job: taken, renewed, and used to say how far the work is.

use std::time::Duration;

use domain::{ErrorCode, ExportJob, JobId, Progress, WorkerId};
use sqlx::{Connection, PgConnection};

use super::end::fail_unreadable;
use super::row::{bigint, load};
use crate::error::{StoreError, fenced};
use crate::events::{self, EventKind};
use crate::metrics;
use crate::uploads::Unfinished;

/// The right to work on a job until the lease ends.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub job: ExportJob,
    /// How often the job has been tried since its last checkpoint, this time included. Attempts
    /// that were released or whose worker died do not count, so this is no number to name things
    /// by.
    pub attempts: u32,
    /// How often a worker let the lease of this job expire since its last checkpoint.
    pub deaths: u32,
    /// What earlier attempts have stored.
    pub unfinished: Option<Unfinished>,
    pub(crate) token: i64,
}

impl Claim {
    /// Returns the fencing token: it grows with each claim of the job and never comes twice.
    pub fn token(&self) -> i64 {
        self.token
    }
}

/// What a worker offers to the job that it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long the claim holds without a renewal.
    pub lease: Duration,
    /// Whether the process works on other jobs too.
    pub busy: bool,
    /// After how many deaths of workers a job must be alone in its process, so that it is known
    /// which job it was that killed the next one. After more it has failed, and needs no room.
    pub alone_after: u32,
}

/// What a worker got.
#[derive(Debug)]
pub enum Claimed {
    /// A job.
    Job(Box<Claim>),
    /// No job is due.
    Nothing,
    /// The job that has been due for longest must be alone in its process.
    Suspect,
}

/// Takes the job that has been due for longest: one that waits, or one whose worker let its lease
/// expire. Counts the attempt, or the death. Two workers never get the same job.
///
/// # Errors
///
/// When Postgres fails. A row that cannot be read is [`StoreError::Corrupt`], once: the job has
/// failed then.
pub async fn claim(
    conn: &mut PgConnection,
    owner: &WorkerId,
    terms: &Terms,
) -> Result<Claimed, StoreError> {
    let mut tx = conn.begin().await?;
    // lease_until is there exactly while a worker has the job, so the earlier of "may be tried
    // again" and "its lease ends" is one expression, and one index serves both.
    let due = sqlx::query!(
        r#"WITH due AS (
               SELECT job_id, started_at, status,
                      deaths + (status = 'PROCESSING')::int AS deaths
               FROM export_jobs
               WHERE status IN ('PENDING', 'PROCESSING')
                 AND COALESCE(lease_until, run_after) <= now()
               ORDER BY COALESCE(lease_until, run_after)
               LIMIT 1
               FOR NO KEY UPDATE SKIP LOCKED
           ), claimed AS (
               UPDATE export_jobs AS job
               SET status = 'PROCESSING', token = job.token + 1, deaths = due.deaths,
                   attempts = job.attempts + (due.status = 'PENDING')::int,
                   lease_owner = $1, lease_until = now() + make_interval(secs => $2),
                   started_at = COALESCE(job.started_at, now()), updated_at = now()
               FROM due WHERE job.job_id = due.job_id AND NOT ($3 AND due.deaths = $4)
               RETURNING job.job_id, job.token, job.attempts, job.deaths
           )
           SELECT due.job_id, due.started_at IS NULL AS "first!",
                  due.status = 'PROCESSING' AS "taken_over!",
                  claimed.token AS "token?", claimed.attempts AS "attempts?",
                  claimed.deaths AS "deaths?"
           FROM due LEFT JOIN claimed USING (job_id)"#,
        owner.as_str(),
        terms.lease.as_secs_f64(),
        terms.busy,
        i32::try_from(terms.alone_after).unwrap_or(i32::MAX),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(due) = due else {
        return Ok(Claimed::Nothing);
    };
    let (Some(token), Some(attempts), Some(deaths)) = (due.token, due.attempts, due.deaths) else {
        // Now, and not when the connection is used again: an idle worker may be waiting for it.
        tx.rollback().await?;
        return Ok(Claimed::Suspect);
    };
    let id = JobId::from(due.job_id);
    if due.first {
        events::append(&mut tx, id, EventKind::Started, None).await?;
    }
    let job = match load(&mut tx, id).await {
        Err(unreadable @ StoreError::Corrupt { .. }) => {
            // It must not be the first in the queue for ever.
            fail_unreadable(&mut tx, id, &unreadable.to_string()).await?;
            tx.commit().await?;
            metrics::failed(ErrorCode::Internal);
            return Err(unreadable);
        }
        job => job?,
    };
    let unfinished = Unfinished::of(&mut tx, id).await?;
    tx.commit().await?;
    if due.taken_over {
        metrics::lease_lost();
    }
    Ok(Claimed::Job(Box::new(Claim {
        job,
        attempts: attempts.unsigned_abs(),
        deaths: deaths.unsigned_abs(),
        unfinished,
        token,
    })))
}

/// Makes the lease end `lease` from now.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn renew(
    conn: &mut PgConnection,
    claim: &Claim,
    lease: Duration,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs SET lease_until = now() + make_interval(secs => $3)
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        lease.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    fenced(&result)
}

/// Asks whether the claim still holds: nobody has cancelled the job or taken it over.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when it does not.
pub async fn check(conn: &mut PgConnection, claim: &Claim) -> Result<(), StoreError> {
    let holds = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM export_jobs
               WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'
           ) AS "holds!""#,
        claim.job.id.as_uuid(),
        claim.token,
    )
    .fetch_one(conn)
    .await?;
    holds.then_some(()).ok_or(StoreError::LeaseLost)
}

/// Says how far the work is. What users see never goes back, not even when an attempt starts over.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn progress(
    conn: &mut PgConnection,
    claim: &Claim,
    rows_exported: u64,
    rows_estimated: Option<u64>,
    progress: Progress,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET rows_exported = GREATEST(rows_exported, $3),
             rows_estimated = COALESCE($4, rows_estimated),
             progress = GREATEST(progress, $5), updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        bigint(rows_exported),
        rows_estimated.map(bigint),
        i32::from(progress.percent()),
    )
    .execute(conn)
    .await?;
    fenced(&result)
}
