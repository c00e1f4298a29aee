//! The right to work on a job: taken, renewed, and used to say how far the work is.

use std::time::Duration;

use domain::{ExportJob, JobId, Progress, WorkerId};
use sqlx::{Connection, PgConnection};

use super::end::fail_unreadable;
use super::row::{bigint, load};
use crate::error::{StoreError, fenced};
use crate::events::{self, EventKind};

/// The right to work on a job until the lease ends.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub job: ExportJob,
    /// How often the job has been tried, this time included. Attempts that were released do not
    /// count, so this is no number to name things by.
    pub attempts: u32,
    /// What an earlier attempt may have left in the object storage.
    pub leftover: Option<Leftover>,
    pub(super) token: i64,
}

impl Claim {
    /// Returns the fencing token: it grows with each claim of the job and never comes twice.
    pub fn token(&self) -> i64 {
        self.token
    }
}

/// What an attempt that did not finish left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The key that it wrote to.
    pub object_key: String,
    /// The multipart upload, if it was one.
    pub upload_id: Option<String>,
}

/// Takes the job that has been due for longest: one that waits, or one whose worker let its lease
/// expire. Counts the attempt. Two workers never get the same job.
///
/// # Errors
///
/// When Postgres fails. A row that cannot be read is [`StoreError::Corrupt`], once: the job has
/// failed then.
pub async fn claim(
    conn: &mut PgConnection,
    owner: &WorkerId,
    lease: Duration,
) -> Result<Option<Claim>, StoreError> {
    let mut tx = conn.begin().await?;
    // lease_until is there exactly while a worker has the job, so the earlier of "may be tried
    // again" and "its lease ends" is one expression, and one index serves both.
    let claimed = sqlx::query!(
        r#"WITH due AS (
               SELECT job_id, started_at FROM export_jobs
               WHERE status IN ('PENDING', 'PROCESSING')
                 AND COALESCE(lease_until, run_after) <= now()
               ORDER BY COALESCE(lease_until, run_after)
               LIMIT 1
               FOR UPDATE SKIP LOCKED
           )
           UPDATE export_jobs AS job
           SET status = 'PROCESSING', token = job.token + 1, attempts = job.attempts + 1,
               lease_owner = $1, lease_until = now() + make_interval(secs => $2),
               started_at = COALESCE(job.started_at, now()), updated_at = now()
           FROM due WHERE job.job_id = due.job_id
           RETURNING job.job_id, job.token, job.attempts, job.object_key, job.upload_id,
                     due.started_at IS NULL AS "first!""#,
        owner.as_str(),
        lease.as_secs_f64(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(claimed) = claimed else {
        return Ok(None);
    };
    let id = JobId::from(claimed.job_id);
    if claimed.first {
        events::append(&mut tx, id, EventKind::Started, None).await?;
    }
    let job = match load(&mut tx, id).await {
        Err(unreadable @ StoreError::Corrupt { .. }) => {
            // It must not be the first in the queue for ever.
            fail_unreadable(&mut tx, id, &unreadable.to_string()).await?;
            tx.commit().await?;
            return Err(unreadable);
        }
        job => job?,
    };
    tx.commit().await?;
    Ok(Some(Claim {
        job,
        attempts: claimed.attempts.unsigned_abs(),
        leftover: claimed.object_key.map(|object_key| Leftover {
            object_key,
            upload_id: claimed.upload_id,
        }),
        token: claimed.token,
    }))
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

/// Remembers where the attempt writes, before it writes, so that a successor can clean up.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn record_upload(
    conn: &mut PgConnection,
    claim: &Claim,
    object_key: &str,
    upload_id: Option<&str>,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs SET object_key = $3, upload_id = $4, updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        object_key,
        upload_id,
    )
    .execute(conn)
    .await?;
    fenced(&result)
}
