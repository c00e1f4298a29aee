//! What the attempts of a job store: the object, the upload it is made of, and the checkpoints
//! from which another attempt goes on.

use chrono::{DateTime, Utc};
use domain::{ExportedFile, JobId, TimeRange};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::error::{StoreError, fenced};
use crate::events::{self, EventKind};
use crate::jobs::Claim;
use crate::jobs::row::bigint;
use crate::transaction;
use crate::{metrics, removals};

/// What earlier attempts of a job have stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The key of the object that the row of the job names.
    pub object_key: Option<String>,
    /// The multipart upload to it, if there was more than fits into one request.
    pub upload: Option<Upload>,
    /// Whether several files are all that there will be, and whole.
    pub are_sealed: bool,
}

/// A multipart upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// What it holds. `None` for an upload of which this version of the service knows nothing.
    pub plan: Option<UploadPlan>,
    /// The highest part number that may have been used.
    pub parts_reserved: u16,
    /// What is known of the file once all of its parts are stored; the upload may have been
    /// completed then.
    pub sealed: Option<ExportedFile>,
}

/// What the parts of an upload are made of, frozen when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPlan {
    /// Stands for everything besides the slices that the bytes depend on.
    pub fingerprint: String,
    /// Rows that the planner expected.
    pub rows_estimated: u64,
    /// What is read, in order.
    pub slices: Vec<TimeRange>,
}

/// The plan as it is stored. Slices follow each other, so that their ends are enough.
#[derive(Serialize, Deserialize)]
struct StoredPlan {
    fingerprint: String,
    rows_estimated: u64,
    bounds: Vec<DateTime<Utc>>,
}

impl From<&UploadPlan> for StoredPlan {
    fn from(plan: &UploadPlan) -> Self {
        let first = plan.slices.first().map(TimeRange::start);
        let ends = plan.slices.iter().map(TimeRange::end);
        Self {
            fingerprint: plan.fingerprint.clone(),
            rows_estimated: plan.rows_estimated,
            bounds: first.into_iter().chain(ends).collect(),
        }
    }
}

impl StoredPlan {
    fn read(self) -> Option<UploadPlan> {
        let slices = self
            .bounds
            .windows(2)
            .map(|ends| TimeRange::new(ends[0], ends[1]));
        Some(UploadPlan {
            fingerprint: self.fingerprint,
            rows_estimated: self.rows_estimated,
            slices: slices.collect::<Option<_>>()?,
        })
    }
}

/// A part that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPart {
    /// Its number in the upload.
    pub number: u16,
    /// Its size.
    pub size_bytes: u64,
    /// What the storage calls its content.
    pub etag: String,
}

/// The first slices of a file, stored for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many slices.
    pub slices: usize,
    /// How many rows they have.
    pub rows: u64,
    /// How many bytes of the file they are.
    pub size_bytes: u64,
    /// The parts since the checkpoint before.
    pub parts: Vec<StoredPart>,
    /// What the encoder must know about those parts.
    pub encoder: Vec<u8>,
    /// The unfinished SHA-256 of all bytes so far.
    pub sha256_state: Vec<u8>,
    /// The bytes behind the last part, where they are too few for one.
    pub rest: Vec<u8>,
}

/// An upload that the row of a job is to name.
#[derive(Clone, Copy, Debug)]
pub struct NewUpload<'a> {
    /// The key of the object.
    pub object_key: &'a str,
    /// Its id.
    pub id: &'a str,
    /// What its parts will be made of.
    pub plan: &'a UploadPlan,
    /// The highest part number that may be used.
    pub parts_reserved: u16,
}

impl Unfinished {
    pub(crate) async fn of(
        conn: &mut PgConnection,
        job: JobId,
    ) -> Result<Option<Self>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT object_key, upload_id, upload_plan, parts_reserved, file_size, sha256,
                    -- Those of the file; rows_exported may be of an attempt that saw more.
                    (SELECT max(rows) FROM export_checkpoints AS part
                     WHERE part.job_id = job.job_id) AS rows,
                    EXISTS (SELECT FROM export_files AS file
                            WHERE file.job_id = job.job_id) AS "has_files!"
             FROM export_jobs AS job WHERE job_id = $1"#,
            job.as_uuid(),
        )
        .fetch_one(conn)
        .await?;
        if row.object_key.is_none() && !row.has_files {
            return Ok(None);
        }
        let are_sealed = row.file_size.is_some() && row.sha256.is_none();
        let sealed = row.file_size.zip(row.sha256).zip(row.object_key.clone());
        let sealed = sealed.map(|((size, sha256), object_key)| ExportedFile {
            object_key,
            size_bytes: size.unsigned_abs(),
            rows: row.rows.unwrap_or_default().unsigned_abs(),
            sha256,
        });
        let plan = row
            .upload_plan
            .and_then(|plan| serde_json::from_value::<StoredPlan>(plan).ok())
            .and_then(StoredPlan::read);
        let upload = row.upload_id.map(|id| Upload {
            id,
            plan,
            parts_reserved: u16::try_from(row.parts_reserved).unwrap_or(u16::MAX),
            sealed,
        });
        Ok(Some(Self {
            object_key: row.object_key,
            upload,
            are_sealed,
        }))
    }
}

/// Remembers the object that the attempt is about to store with one request.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn begin_object(
    conn: &mut PgConnection,
    claim: &Claim,
    object_key: &str,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs SET object_key = $3, updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING' AND upload_id IS NULL",
        claim.job.id.as_uuid(),
        claim.token,
        object_key,
    )
    .execute(conn)
    .await?;
    fenced(&result)
}

/// Has the row of the job name an upload, before its first part, and the part numbers that may be used for
/// it.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn begin(
    conn: &mut PgConnection,
    claim: &Claim,
    upload: &NewUpload<'_>,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET object_key = $3, upload_id = $4, upload_plan = $5, parts_reserved = $6,
             updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        upload.object_key,
        upload.id,
        Json(StoredPlan::from(upload.plan)) as _,
        i32::from(upload.parts_reserved),
    )
    .execute(conn)
    .await?;
    fenced(&result)
}

/// Remembers that part numbers up to `parts_reserved` may be used from now on.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn reserve_parts(
    conn: &mut PgConnection,
    claim: &Claim,
    parts_reserved: u16,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs SET parts_reserved = GREATEST(parts_reserved, $3)
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        i32::from(parts_reserved),
    )
    .execute(conn)
    .await?;
    fenced(&result)
}

/// Adds a checkpoint. What failed before it is forgiven: attempts and deaths are counted anew.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn add_checkpoint(
    conn: &mut PgConnection,
    claim: &Claim,
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    advance(&mut tx, claim, checkpoint.rows).await?;
    insert(&mut tx, claim.job.id, checkpoint).await?;
    tx.commit().await?;
    metrics::checkpoint();
    Ok(())
}

/// Notes that `rows` rows are stored for good, and forgives what failed before.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    claim: &Claim,
    rows: u64,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET attempts = LEAST(attempts, 1), lost_leases = 0,
             rows_exported = GREATEST(rows_exported, $3), updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        bigint(rows),
    )
    .execute(conn)
    .await?;
    fenced(&result)
}

/// Notes that all parts of the only file are stored, before the upload is completed: whoever finds the
/// job then has only that left to do. `last` holds the parts since the last checkpoint.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn seal(
    conn: &mut PgConnection,
    claim: &Claim,
    file: &ExportedFile,
    last: &Checkpoint,
) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    let result = sqlx::query!(
        "UPDATE export_jobs
         SET file_size = $3, sha256 = $4, rows_exported = GREATEST(rows_exported, $5),
             attempts = LEAST(attempts, 1), lost_leases = 0, updated_at = now()
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        bigint(file.size_bytes),
        file.sha256,
        bigint(file.rows),
    )
    .execute(&mut *tx)
    .await?;
    fenced(&result)?;
    insert(&mut tx, claim.job.id, last).await?;
    Ok(tx.commit().await?)
}

/// Adds a checkpoint; one that is there already is the same, whose commit was not heard of.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    job: JobId,
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO export_checkpoints (job_id, slices, rows, size_bytes, parts, encoder,
                                         sha256_state, rest)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (job_id, slices) DO NOTHING",
        job.as_uuid(),
        i32::try_from(checkpoint.slices).unwrap_or(i32::MAX),
        bigint(checkpoint.rows),
        bigint(checkpoint.size_bytes),
        Json(&checkpoint.parts) as _,
        checkpoint.encoder,
        checkpoint.sha256_state,
        checkpoint.rest,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns the checkpoints of a job, in the order of the file.
///
/// # Errors
///
/// When Postgres fails.
pub async fn checkpoints(
    conn: &mut PgConnection,
    claim: &Claim,
) -> Result<Vec<Checkpoint>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT slices, rows, size_bytes, parts AS "parts: Json<Vec<StoredPart>>", encoder,
                  sha256_state, rest
           FROM export_checkpoints WHERE job_id = $1 ORDER BY slices"#,
        claim.job.id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    let checkpoints = rows.into_iter().map(|row| Checkpoint {
        slices: usize::try_from(row.slices).unwrap_or_default(),
        rows: row.rows.unsigned_abs(),
        size_bytes: row.size_bytes.unsigned_abs(),
        parts: row.parts.0,
        encoder: row.encoder,
        sha256_state: row.sha256_state,
        rest: row.rest,
    });
    Ok(checkpoints.collect())
}

/// Notes that the attempt goes on where another one ended. What that had begun behind its last checkpoint
/// will be removed.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn resume(conn: &mut PgConnection, claim: &Claim) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    lock(&mut tx, claim).await?;
    removals::add_begun(&mut tx, claim.job.id).await?;
    events::append(&mut tx, claim.job.id, EventKind::Resumed, None).await?;
    tx.commit().await?;
    metrics::resumed();
    Ok(())
}

/// Gives up what earlier attempts have stored: it will be removed, and the job begins anew. Returns
/// how often it has done so, this time included.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn start_over(conn: &mut PgConnection, claim: &Claim) -> Result<u64, StoreError> {
    let mut tx = transaction::begin(conn).await?;
    lock(&mut tx, claim).await?;
    give_up(&mut tx, claim.job.id).await?;
    events::append(&mut tx, claim.job.id, EventKind::StartedOver, None).await?;
    let beginnings = sqlx::query_scalar!(
        r#"SELECT count(*) AS "beginnings!" FROM export_events WHERE job_id = $1 AND kind = $2"#,
        claim.job.id.as_uuid(),
        EventKind::StartedOver.as_str(),
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    metrics::started_over();
    Ok(beginnings.unsigned_abs())
}

pub(crate) async fn lock(conn: &mut PgConnection, claim: &Claim) -> Result<(), StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT token FROM export_jobs
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING' FOR UPDATE",
        claim.job.id.as_uuid(),
        claim.token,
    )
    .fetch_optional(conn)
    .await?;
    locked.map(drop).ok_or(StoreError::LeaseLost)
}

/// Lets go of all that a job has stored, to be removed.
pub(crate) async fn give_up(conn: &mut PgConnection, job: JobId) -> Result<(), StoreError> {
    removals::add_stored(conn, job).await?;
    forget_checkpoints(conn, job).await?;
    sqlx::query!("DELETE FROM export_files WHERE job_id = $1", job.as_uuid())
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "UPDATE export_jobs
         SET object_key = NULL, upload_id = NULL, upload_plan = NULL, parts_reserved = 0,
             files = 1, file_size = NULL, sha256 = NULL
         WHERE job_id = $1",
        job.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn forget_checkpoints(
    conn: &mut PgConnection,
    job: JobId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM export_checkpoints WHERE job_id = $1",
        job.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}
