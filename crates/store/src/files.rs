//! The files of exports of several: begun by an attempt, named by a checkpoint once they are whole, and found
//! by their numbers once all of them are there.
//!
//! The row of the job names the file that the last checkpoint is in, as for an export of one file. Here are
//! those before it, which are whole, and those behind it, which whoever goes on begins anew.

use domain::{ExportedFile, FileTotals, JobId};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::error::{StoreError, fenced};
use crate::jobs::Claim;
use crate::jobs::row::bigint;
use crate::metrics;
use crate::transaction;
use crate::uploads::{self, Checkpoint, NewUpload, StoredPart};

/// A file that has all of its bytes, in an object or in the parts of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeFile {
    /// Its place in the export, from 1.
    pub number: u32,
    /// The file.
    pub file: ExportedFile,
    /// What is still to be made an object.
    pub upload: Option<WholeUpload>,
}

/// An upload that is to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeUpload {
    /// Its id.
    pub id: String,
    /// All of its parts, in the order of the file.
    pub parts: Vec<StoredPart>,
}

/// Remembers a file behind the first, before anything of it is stored: with one request, or in an upload.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn begin(
    conn: &mut PgConnection,
    claim: &Claim,
    number: u32,
    object_key: &str,
    upload_id: Option<&str>,
) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    uploads::lock(&mut tx, claim).await?;
    // One that is there already is the same, whose commit was not heard of.
    sqlx::query!(
        "INSERT INTO export_files (job_id, number, object_key, upload_id)
         VALUES ($1, $2, $3, $4) ON CONFLICT (job_id, number) DO NOTHING",
        claim.job.id.as_uuid(),
        int(number),
        object_key,
        upload_id,
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

/// Adds a checkpoint in another file than the last one: `whole` have become so since, and what the job goes
/// on with is `upload`. What failed before it is forgiven.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn turn(
    conn: &mut PgConnection,
    claim: &Claim,
    whole: &[WholeFile],
    upload: &NewUpload<'_>,
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    uploads::begin(&mut tx, claim, upload).await?;
    uploads::advance(&mut tx, claim, checkpoint.rows).await?;
    replace(&mut tx, claim.job.id, whole).await?;
    uploads::insert(&mut tx, claim.job.id, checkpoint).await?;
    tx.commit().await?;
    metrics::checkpoint();
    Ok(())
}

/// Notes that all files are whole: whoever finds the job then has only to make objects of them. `whole` have
/// become so since the last checkpoint, `totals` are those of all.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn seal(
    conn: &mut PgConnection,
    claim: &Claim,
    whole: &[WholeFile],
    totals: &FileTotals,
) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET object_key = NULL, upload_id = NULL, upload_plan = NULL, parts_reserved = 0,
             files = $3, file_size = $4
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        int(totals.count),
        bigint(totals.size_bytes),
    )
    .execute(&mut *tx)
    .await?;
    fenced(&result)?;
    uploads::advance(&mut tx, claim, totals.rows).await?;
    replace(&mut tx, claim.job.id, whole).await?;
    Ok(tx.commit().await?)
}

/// Puts whole files in the place of those that were begun, and forgets the checkpoints in them.
async fn replace(
    conn: &mut PgConnection,
    job: JobId,
    whole: &[WholeFile],
) -> Result<(), StoreError> {
    uploads::forget_checkpoints(conn, job).await?;
    sqlx::query!(
        "DELETE FROM export_files WHERE job_id = $1 AND sha256 IS NULL",
        job.as_uuid()
    )
    .execute(&mut *conn)
    .await?;
    // Those of the turn before were made objects at once.
    let first = whole.first().map_or(0, |file| file.number);
    are_objects(conn, job, first).await?;
    let numbers: Vec<_> = whole.iter().map(|file| int(file.number)).collect();
    let files = whole.iter().map(|file| &file.file);
    let keys: Vec<_> = files.clone().map(|file| file.object_key.clone()).collect();
    let rows: Vec<_> = files.clone().map(|file| bigint(file.rows)).collect();
    let sizes: Vec<_> = files.clone().map(|file| bigint(file.size_bytes)).collect();
    let sums: Vec<_> = files.map(|file| file.sha256.clone()).collect();
    let (uploads, parts): (Vec<_>, Vec<_>) = whole
        .iter()
        .map(|file| file.upload.clone())
        .map(|upload| upload.map(|upload| (upload.id, Json(upload.parts))).unzip())
        .unzip();
    sqlx::query!(
        "INSERT INTO export_files (job_id, number, object_key, rows, size_bytes, sha256, upload_id, parts)
         SELECT $1, * FROM unnest($2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
                                  $7::text[], $8::jsonb[])
         ON CONFLICT (job_id, number) DO NOTHING",
        job.as_uuid(),
        &numbers,
        &keys,
        &rows,
        &sizes,
        &sums,
        &uploads as _,
        &parts as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the whole files of a job before a number are objects.
pub(crate) async fn are_objects(
    conn: &mut PgConnection,
    job: JobId,
    before: u32,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE export_files SET upload_id = NULL, parts = NULL
         WHERE job_id = $1 AND number < $2 AND sha256 IS NOT NULL AND upload_id IS NOT NULL",
        job.as_uuid(),
        int(before),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns the whole files of a job, in order.
///
/// # Errors
///
/// When Postgres fails.
pub async fn whole(conn: &mut PgConnection, claim: &Claim) -> Result<Vec<WholeFile>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT number, object_key, upload_id, parts AS "parts: Json<Vec<StoredPart>>",
                  rows AS "rows!", size_bytes AS "size_bytes!", sha256 AS "sha256!"
           FROM export_files WHERE job_id = $1 AND sha256 IS NOT NULL ORDER BY number"#,
        claim.job.id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    let files = rows.into_iter().map(|row| WholeFile {
        number: row.number.unsigned_abs(),
        file: ExportedFile {
            object_key: row.object_key,
            size_bytes: row.size_bytes.unsigned_abs(),
            rows: row.rows.unsigned_abs(),
            sha256: row.sha256,
        },
        upload: row
            .upload_id
            .zip(row.parts)
            .map(|(id, Json(parts))| WholeUpload { id, parts }),
    });
    Ok(files.collect())
}

/// Returns the files of a completed job of several, in order, from the number `from` on and `limit` at most.
///
/// # Errors
///
/// When Postgres fails.
pub async fn list(
    conn: &mut PgConnection,
    job: JobId,
    from: u32,
    limit: u32,
) -> Result<Vec<ExportedFile>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT object_key, rows AS "rows!", size_bytes AS "size_bytes!", sha256 AS "sha256!"
           FROM export_files WHERE job_id = $1 AND number >= $2 AND sha256 IS NOT NULL
           ORDER BY number LIMIT $3"#,
        job.as_uuid(),
        int(from),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await?;
    let files = rows.into_iter().map(|row| ExportedFile {
        object_key: row.object_key,
        size_bytes: row.size_bytes.unsigned_abs(),
        rows: row.rows.unsigned_abs(),
        sha256: row.sha256,
    });
    Ok(files.collect())
}

pub(crate) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
