//! The right to work on a job: taken, renewed, and used to say how far the work is.

use std::time::Duration;

use domain::{ErrorCode, ExportJob, ExportRequest, JobId, Progress, WorkerId};
use sqlx::PgConnection;

use super::end::fail_unrun;
use super::intake;
use super::row::{bigint, load};
use super::turn;
use crate::error::{StoreError, fenced};
use crate::events::{self, EventKind};
use crate::metrics;
use crate::quotas::RunningLimits;
use crate::transaction;
use crate::uploads::Unfinished;

/// The right to work on a job until the lease ends.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub job: ExportJob,
    /// What it asks for.
    pub request: ExportRequest,
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
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// How long the claim holds without a renewal.
    pub lease: Duration,
    /// Whether the process works on other jobs too.
    pub busy: bool,
    /// After how many deaths of workers a job must be alone in its process, so that it is known
    /// which job it was that killed the next one. After more it has failed, and needs no room.
    pub alone_after: u32,
    /// How many jobs organizations may have at work. The jobs of one that has as many wait.
    pub running: &'a RunningLimits,
}

/// What a worker got.
#[derive(Debug)]
pub enum Claimed {
    /// A job.
    Job(Box<Claim>),
    /// No job is due.
    Nothing,
    /// The job that is next must be alone in its process.
    Suspect,
    /// The request of the job that was next is not valid; the job has failed.
    Invalid(JobId),
}

/// Takes a job that is due: one that waits, or one whose worker let its lease expire. Counts the
/// attempt, or the death. Two workers never get the same job.
///
/// Organizations take turns: the job is of the one that has the fewest jobs at work, among those of
/// the one that has had none begun for longest, and there the one that has been due for longest.
/// Claims of the same moment do not see each other; together they still take no more of an
/// organization's jobs than it may have at work.
///
/// The connection is one of [`crate::connect_to_claim`].
///
/// # Errors
///
/// When Postgres fails. A row that cannot be read is [`StoreError::Corrupt`], once: the job has
/// failed then.
pub async fn claim(
    conn: &mut PgConnection,
    owner: &WorkerId,
    terms: &Terms<'_>,
) -> Result<Claimed, StoreError> {
    let mut tx = transaction::begin(conn).await?;
    let Some(turn) = turn::take(&mut tx, owner, terms).await? else {
        return Ok(Claimed::Nothing);
    };
    let Some(taken) = turn.taken else {
        // Now, and not when the connection is used again: an idle worker may be waiting for it.
        tx.rollback().await?;
        return Ok(Claimed::Suspect);
    };
    let id = turn.job;
    if turn.first {
        intake::complete(&mut tx, id).await?;
        events::append(&mut tx, id, EventKind::Started, None).await?;
    }
    let job = match load(&mut tx, id).await {
        Err(unreadable @ StoreError::Corrupt { .. }) => {
            // It must not be the first in the queue for ever.
            let failure = ErrorCode::Internal.into();
            fail_unrun(&mut tx, id, &failure, &unreadable.to_string()).await?;
            tx.commit().await?;
            metrics::failed(failure.code);
            return Err(unreadable);
        }
        job => job?,
    };
    let request = match &job.request {
        Ok(request) => request.clone(),
        Err(invalid) => {
            let failure = invalid.failure();
            fail_unrun(&mut tx, id, &failure, &failure.message).await?;
            tx.commit().await?;
            metrics::failed(failure.code);
            return Ok(Claimed::Invalid(id));
        }
    };
    let unfinished = Unfinished::of(&mut tx, id).await?;
    tx.commit().await?;
    if turn.taken_over {
        metrics::lease_lost();
    }
    Ok(Claimed::Job(Box::new(Claim {
        job,
        request,
        attempts: taken.attempts,
        deaths: taken.deaths,
        unfinished,
        token: taken.token,
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
