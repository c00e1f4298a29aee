//! How an attempt ends: the job is completed, has failed, or waits again.

use std::time::Duration;

use domain::{ExportedFiles, Failure, JobId};
use sqlx::PgConnection;

use super::claim::Claim;
use super::row::bigint;
use crate::error::{StoreError, fenced};
use crate::events::{self, EventKind};
use crate::metrics;
use crate::notifications::{self, NotificationKind};
use crate::transaction;
use crate::{files, quotas, uploads};

/// Completes the job, with its event and its notifications, and adds the files to what the organization
/// has used. `location` is where the object is (`s3://bucket/key`), or what the addresses of several begin
/// with; they expire `retention` from now. Several files have been sealed.
///
/// A job that this claim has completed with these files stays as it is: the answer to an earlier call may
/// have been lost, and then the files must not be taken for some that nobody knows of.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn complete(
    conn: &mut PgConnection,
    claim: &Claim,
    made: &ExportedFiles,
    location: &str,
    retention: Duration,
) -> Result<(), StoreError> {
    let job = claim.job.id;
    let (totals, only) = (made.totals(), made.only());
    let count = i32::try_from(totals.count).unwrap_or(i32::MAX);
    let mut tx = transaction::begin(conn).await?;
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET status = 'COMPLETED', progress = 100, object_key = $3, upload_id = NULL,
             upload_plan = NULL, parts_reserved = 0, file_url = $4, file_size = $5, rows_exported = $6, sha256 = $7, files = $9,
             expires_at = now() + make_interval(secs => $8), completed_at = now(),
             lease_owner = NULL, lease_until = NULL, updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        job.as_uuid(),
        claim.token,
        only.map(|file| &file.object_key),
        location,
        bigint(totals.size_bytes),
        bigint(totals.rows),
        only.map(|file| &file.sha256),
        retention.as_secs_f64(),
        count,
    )
    .execute(&mut *tx)
    .await?;
    if let Err(lost) = fenced(&result) {
        let done = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM export_jobs
                   WHERE job_id = $1 AND token = $2 AND status = 'COMPLETED'
                     AND object_key IS NOT DISTINCT FROM $3 AND files = $4
               ) AS "done!""#,
            job.as_uuid(),
            claim.token,
            only.map(|file| &file.object_key),
            count,
        )
        .fetch_one(&mut *tx)
        .await?;
        if !done {
            return Err(lost);
        }
        metrics::completed();
        return Ok(());
    }
    uploads::forget_checkpoints(&mut tx, job).await?;
    if only.is_none() {
        files::are_objects(&mut tx, job, u32::MAX).await?;
    }
    events::append(&mut tx, job, EventKind::Completed, None).await?;
    notifications::add(&mut tx, claim, NotificationKind::Completed).await?;
    // The last step: others of the organization wait for this row.
    quotas::add_usage(&mut tx, claim.job.organization, &totals).await?;
    tx.commit().await?;
    metrics::completed();
    Ok(())
}

/// Ends the job without a file, with its event and its notifications; what it has stored is to be
/// removed. Users see `failure`, operators `cause`.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn fail(
    conn: &mut PgConnection,
    claim: &Claim,
    failure: &Failure,
    cause: &str,
) -> Result<(), StoreError> {
    let job = claim.job.id;
    let mut tx = transaction::begin(conn).await?;
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET status = 'FAILED', error_code = $3, error_message = $4, last_error = $5,
             completed_at = now(), lease_owner = NULL, lease_until = NULL, updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        job.as_uuid(),
        claim.token,
        failure.code.as_str(),
        failure.message,
        cause,
    )
    .execute(&mut *tx)
    .await?;
    fenced(&result)?;
    uploads::give_up(&mut tx, job).await?;
    events::append(&mut tx, job, EventKind::Failed, None).await?;
    notifications::add(&mut tx, claim, NotificationKind::Failed).await?;
    tx.commit().await?;
    metrics::failed(failure.code);
    Ok(())
}

/// Ends a job that no worker can run, and of which there is nothing to be written in an e-mail.
pub(super) async fn fail_unrun(
    conn: &mut PgConnection,
    job: JobId,
    failure: &Failure,
    cause: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE export_jobs
         SET status = 'FAILED', error_code = $2, error_message = $3, last_error = $4,
             completed_at = now(), lease_owner = NULL, lease_until = NULL, updated_at = now()
         WHERE job_id = $1",
        job.as_uuid(),
        failure.code.as_str(),
        failure.message,
        cause,
    )
    .execute(&mut *conn)
    .await?;
    uploads::give_up(conn, job).await?;
    events::append(conn, job, EventKind::Failed, None).await
}

/// Lets the job wait for `delay` and be tried again. Operators see `cause`, users nothing.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn retry(
    conn: &mut PgConnection,
    claim: &Claim,
    delay: Duration,
    cause: &str,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET status = 'PENDING', run_after = now() + make_interval(secs => $3), last_error = $4,
             dispatched_at = NULL, lease_owner = NULL, lease_until = NULL, updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        delay.as_secs_f64(),
        cause,
    )
    .execute(conn)
    .await?;
    fenced(&result)?;
    metrics::retried();
    Ok(())
}

/// Gives the job back because this worker stops: it is due at once and the attempt does not count.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn release(conn: &mut PgConnection, claim: &Claim) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET status = 'PENDING', run_after = now(), attempts = GREATEST(attempts - 1, 0),
             dispatched_at = NULL, lease_owner = NULL, lease_until = NULL, updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
    )
    .execute(conn)
    .await?;
    fenced(&result)
}
