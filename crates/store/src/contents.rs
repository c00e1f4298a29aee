//! What the files of jobs hold.

use domain::{FileColumn, FileContents, JobId};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::error::{StoreError, fenced};
use crate::jobs::Claim;

/// Remembers what the file will hold that the attempt begins.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when somebody else has the job.
pub async fn note(
    conn: &mut PgConnection,
    claim: &Claim,
    contents: &FileContents,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_jobs SET file_columns = $3, service_version = $4
         WHERE job_id = $1 AND token = $2 AND status = 'PROCESSING'",
        claim.job.id.as_uuid(),
        claim.token,
        Json(&contents.columns) as _,
        contents.service_version,
    )
    .execute(conn)
    .await?;
    fenced(&result)
}

/// Returns what the file of a job holds. `None` for one that was begun before that was noted.
///
/// # Errors
///
/// When Postgres fails.
pub async fn get(conn: &mut PgConnection, job: JobId) -> Result<Option<FileContents>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT file_columns AS "columns: Json<Vec<FileColumn>>", service_version
           FROM export_jobs WHERE job_id = $1"#,
        job.as_uuid(),
    )
    .fetch_one(conn)
    .await?;
    let contents = row.columns.zip(row.service_version);
    Ok(contents.map(|(columns, service_version)| FileContents {
        columns: columns.0,
        service_version,
    }))
}
