//! What is to be removed from the bucket, until the storage has done it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::JobId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// What nobody needs any more, to be removed by this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// What.
    pub stored: Stored,
    /// How often it has been tried, this time included.
    pub attempts: u32,
    id: i64,
}

/// Adds all that a job has stored.
pub(crate) async fn add_stored(conn: &mut PgConnection, job: JobId) -> Result<(), StoreError> {
    // The upload first: what it may be completed to is then not there any more afterwards.
    sqlx::query!(
        "INSERT INTO export_removals (job_id, object_key, upload_id)
         SELECT $1, object_key, stored
         FROM (
             SELECT 0 AS number, object_key, upload_id FROM export_jobs
             WHERE job_id = $1 AND object_key IS NOT NULL
             UNION ALL
             SELECT number, object_key, upload_id FROM export_files WHERE job_id = $1
         ) AS file,
         unnest(ARRAY[upload_id, NULL]) WITH ORDINALITY AS part (stored, place)
         WHERE stored IS NOT NULL OR place = 2
         ORDER BY number, place",
        job.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds the files of a job that were begun behind its last checkpoint.
pub(crate) async fn add_begun(conn: &mut PgConnection, job: JobId) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH begun AS (
             DELETE FROM export_files WHERE job_id = $1 AND sha256 IS NULL
             RETURNING number, object_key, upload_id
         )
         INSERT INTO export_removals (job_id, object_key, upload_id)
         SELECT $1, object_key, stored
         FROM begun, unnest(ARRAY[upload_id, NULL]) WITH ORDINALITY AS part (stored, place)
         WHERE stored IS NOT NULL OR place = 2
         ORDER BY number, place",
        job.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An object that is in the bucket, or an upload to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whose it is.
    pub job: JobId,
    /// The key of the object.
    pub object_key: String,
    /// The upload; `None` for the object itself.
    pub upload_id: Option<String>,
}

/// Adds those that their jobs do not need, in this order, unless they have been added already.
/// Returns how many were added.
///
/// Anybody may ask for anything: the row of the job and those of its files decide. It needs its objects
/// while it may become or is COMPLETED, and its uploads while it may become so. A job that does not exist
/// belongs to another database, and nothing of it is added.
///
/// # Errors
///
/// When Postgres fails.
pub async fn add_unneeded(conn: &mut PgConnection, stored: &[Stored]) -> Result<u64, StoreError> {
    let jobs: Vec<_> = stored.iter().map(|one| one.job.as_uuid()).collect();
    let keys: Vec<_> = stored.iter().map(|one| one.object_key.clone()).collect();
    let uploads: Vec<_> = stored.iter().map(|one| one.upload_id.clone()).collect();
    let result = sqlx::query!(
        "INSERT INTO export_removals (job_id, object_key, upload_id)
         SELECT stored.job_id, stored.object_key, stored.upload_id
         FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
              AS stored (job_id, object_key, upload_id, place)
         JOIN export_jobs AS job USING (job_id)
         -- The files of another module are its own.
         WHERE NOT job.adopted AND NOT EXISTS (
               SELECT FROM (
                   SELECT job.object_key, job.upload_id
                   UNION ALL
                   SELECT object_key, upload_id FROM export_files WHERE job_id = job.job_id
               ) AS file
               WHERE file.object_key = stored.object_key
                 AND CASE WHEN stored.upload_id IS NULL
                          THEN job.status IN ('PENDING', 'PROCESSING', 'COMPLETED')
                          ELSE job.status IN ('PENDING', 'PROCESSING')
                               AND file.upload_id = stored.upload_id END)
           AND NOT EXISTS (
               SELECT FROM export_removals AS added
               WHERE added.object_key = stored.object_key
                 AND added.upload_id IS NOT DISTINCT FROM stored.upload_id)
         GROUP BY stored.job_id, stored.object_key, stored.upload_id
         ORDER BY min(stored.place)",
        &jobs,
        &keys,
        &uploads as _,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected())
}

/// Takes up to `limit` removals that are due, oldest first. For as long as `lease` nobody else
/// gets them.
///
/// # Errors
///
/// When Postgres fails.
pub async fn claim_due(
    conn: &mut PgConnection,
    limit: u32,
    lease: Duration,
) -> Result<Vec<Removal>, StoreError> {
    let rows = sqlx::query!(
        "WITH due AS (
             SELECT removal_id FROM export_removals WHERE run_after <= now()
             ORDER BY run_after, removal_id LIMIT $1 FOR UPDATE SKIP LOCKED
         )
         UPDATE export_removals AS removal
         SET attempts = attempts + 1, run_after = now() + make_interval(secs => $2)
         FROM due WHERE removal.removal_id = due.removal_id
         RETURNING removal.removal_id, job_id, object_key, upload_id, attempts",
        i64::from(limit),
        lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    let mut removals: Vec<_> = rows
        .into_iter()
        .map(|row| Removal {
            stored: Stored {
                job: row.job_id.into(),
                object_key: row.object_key,
                upload_id: row.upload_id,
            },
            attempts: row.attempts.unsigned_abs(),
            id: row.removal_id,
        })
        .collect();
    removals.sort_unstable_by_key(|removal| removal.id);
    Ok(removals)
}

/// Notes that it is gone.
///
/// # Errors
///
/// When Postgres fails.
pub async fn done(conn: &mut PgConnection, removal: &Removal) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM export_removals WHERE removal_id = $1",
        removal.id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets it wait for `delay` and be tried again.
///
/// # Errors
///
/// When Postgres fails.
pub async fn retry(
    conn: &mut PgConnection,
    removal: &Removal,
    delay: Duration,
    cause: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE export_removals
         SET run_after = now() + make_interval(secs => $2), last_error = $3
         WHERE removal_id = $1",
        removal.id,
        delay.as_secs_f64(),
        cause,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for the right to look through the bucket, which one process has each `interval`.
///
/// # Errors
///
/// When Postgres fails.
pub async fn claim_sweep(conn: &mut PgConnection, interval: Duration) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "UPDATE export_sweep SET due_at = now() + make_interval(secs => $1) WHERE due_at <= now()",
        interval.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Returns the time, by the clock that all processes share.
///
/// # Errors
///
/// When Postgres fails.
pub async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(conn)
        .await?)
}
