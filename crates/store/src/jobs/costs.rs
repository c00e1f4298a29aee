//! What exports that have made a file took, for estimates of others like them.

use std::time::Duration;

use domain::{ExportRequest, Narrowing, OrganizationId};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::error::StoreError;

/// How many of the latest exports of a kind are looked at.
const LATEST: i64 = 100;

/// With fewer exports of all organizations, what one of them took could be guessed.
const FEWEST_OF_ALL: usize = 5;

/// What an export took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Rows of the file; at least one.
    pub rows: u64,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// From when a worker first took it to the end.
    pub elapsed: Duration,
}

/// Returns what the latest exports of an organization took that differ from a request in the window and
/// the filters only, and have no rows but those of `narrowed_to`. Where the organization has none, those of all organizations count, unless they
/// are very few.
///
/// # Errors
///
/// When Postgres fails.
pub async fn costs(
    conn: &mut PgConnection,
    organization: OrganizationId,
    narrowed_to: &Narrowing,
    request: &ExportRequest,
) -> Result<Vec<Cost>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH own AS (
               SELECT * FROM export_jobs
               WHERE organization_id = $1 AND data_type = $2 AND format = $3 AND compression = $4
                 AND status IN ('COMPLETED', 'EXPIRED') AND narrowed_to @> $8
               ORDER BY completed_at DESC LIMIT $7
           ), everyones AS (
               SELECT * FROM export_jobs
               WHERE data_type = $2 AND format = $3 AND compression = $4
                 AND status IN ('COMPLETED', 'EXPIRED')
               ORDER BY completed_at DESC LIMIT $7
           ), own_alike AS (
               SELECT * FROM own
               WHERE columns IS NOT DISTINCT FROM $5 AND options = $6 AND rows_exported > 0
           )
           SELECT true AS "is_own!", rows_exported AS "rows!", file_size AS "size_bytes!",
                  EXTRACT(EPOCH FROM completed_at - started_at)::float8 AS "seconds!"
           FROM own_alike
           UNION ALL
           SELECT false, rows_exported, file_size,
                  EXTRACT(EPOCH FROM completed_at - started_at)::float8
           FROM everyones
           WHERE columns IS NOT DISTINCT FROM $5 AND options = $6 AND rows_exported > 0
             AND NOT EXISTS (SELECT FROM own_alike)"#,
        organization.as_uuid(),
        request.data_type.as_str(),
        request.output.format().as_str(),
        request.output.compression().as_str(),
        request.columns.clone().map(Value::from),
        request.options_json(),
        LATEST,
        Json(narrowed_to) as _,
    )
    .fetch_all(conn)
    .await?;
    if rows.len() < FEWEST_OF_ALL && rows.iter().any(|row| !row.is_own) {
        return Ok(Vec::new());
    }
    let costs = rows.into_iter().map(|row| Cost {
        rows: row.rows.unsigned_abs(),
        size_bytes: row.size_bytes.unsigned_abs(),
        elapsed: Duration::try_from_secs_f64(row.seconds).unwrap_or_default(),
    });
    Ok(costs.collect())
}
