//! How people and time end a job: it is cancelled, or its file is deleted.

use domain::{ExportJob, JobId, JobState};
use sqlx::PgConnection;

use super::row;
use super::scope::{Scope, lock};
use crate::error::StoreError;
use crate::events::{self, Actor, EventKind};
use crate::transaction;
use crate::{metrics, removals, uploads};

/// Cancels a job that has not ended, or deletes the file of one that is completed; any other stays
/// as it is. Returns the job as it is then, or nothing where there is none.
///
/// # Errors
///
/// When Postgres fails, or the row cannot be read.
pub async fn withdraw(
    conn: &mut PgConnection,
    scope: &Scope,
    job: JobId,
    actor: &Actor,
) -> Result<Option<ExportJob>, StoreError> {
    let mut tx = transaction::begin(conn).await?;
    if !lock(&mut tx, scope, job).await? {
        return Ok(None);
    }
    let state = row::load(&mut tx, job).await?.state;
    let is_live = matches!(state, JobState::Pending | JobState::Processing);
    match state {
        JobState::Pending | JobState::Processing => {
            uploads::give_up(&mut tx, job).await?;
            sqlx::query!(
                "UPDATE export_jobs
                 SET status = 'CANCELLED', completed_at = now(), lease_owner = NULL,
                     lease_until = NULL, updated_at = now()
                 WHERE job_id = $1",
                job.as_uuid(),
            )
            .execute(&mut *tx)
            .await?;
            events::append(&mut tx, job, EventKind::Cancelled, Some(actor)).await?;
        }
        JobState::Completed { .. } => {
            removals::add_stored(&mut tx, job).await?;
            sqlx::query!(
                "UPDATE export_jobs
                 SET status = 'EXPIRED', expires_at = now(), deleted_at = now(),
                     updated_at = now()
                 WHERE job_id = $1",
                job.as_uuid(),
            )
            .execute(&mut *tx)
            .await?;
            events::append(&mut tx, job, EventKind::Deleted, Some(actor)).await?;
        }
        JobState::Adopted { .. }
        | JobState::Failed { .. }
        | JobState::Cancelled { .. }
        | JobState::Expired { .. } => {}
    }
    let job = row::load(&mut tx, job).await?;
    tx.commit().await?;
    if is_live {
        metrics::cancelled();
    }
    Ok(Some(job))
}

/// Expires up to `limit` completed jobs whose time is over, with their events; their files are to be
/// removed. Returns how many there were.
///
/// # Errors
///
/// When Postgres fails.
pub async fn expire(conn: &mut PgConnection, limit: u32) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        "WITH due AS (
             SELECT job_id FROM export_jobs WHERE status = 'COMPLETED' AND expires_at <= now()
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
         ), expired AS (
             UPDATE export_jobs AS job SET status = 'EXPIRED', updated_at = now()
             FROM due WHERE job.job_id = due.job_id
             RETURNING job.job_id, job.object_key
         ), removed AS (
             INSERT INTO export_removals (job_id, object_key)
             SELECT job_id, object_key FROM expired WHERE object_key IS NOT NULL
             UNION ALL
             SELECT job_id, object_key FROM export_files WHERE job_id IN (SELECT job_id FROM expired)
         )
         INSERT INTO export_events (job_id, kind) SELECT job_id, 'expired' FROM expired",
        i64::from(limit),
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected())
}
