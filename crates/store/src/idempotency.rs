//! Idempotency keys: a request that is sent again makes no second job.
//!
//! [`begin`] and [`remember`] belong into the transaction that makes the job, so that there is never
//! a key without its job or a job without its key.

use domain::{JobId, OrganizationId, UserId};
use sqlx::PgConnection;

use crate::error::StoreError;

/// A request that came with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// For whom the user acts.
    pub organization: OrganizationId,
    /// Who chose the key; it means nothing for anybody else.
    pub user: UserId,
    /// The key, 1 to 255 characters.
    pub key: String,
    /// SHA-256 of the body.
    pub sha256: [u8; 32],
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: go on, and [`remember`] it.
    First,
    /// The same request made this job within the last 24 hours.
    Repeated(JobId),
    /// Another request came with the key within the last 24 hours.
    Reused,
    /// A request with the key is being answered at this moment.
    InProgress,
}

/// Looks a key up and, where it is new, keeps it from others until the end of the transaction.
///
/// # Errors
///
/// When Postgres fails.
pub async fn begin(conn: &mut PgConnection, request: &KeyedRequest) -> Result<Begun, StoreError> {
    let (organization, user) = (request.organization.as_uuid(), request.user.as_uuid());
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(
               hashtextextended(concat_ws(' ', 'idempotency', $1::uuid, $2::uuid, $3::text), 0)
           ) AS "locked!""#,
        organization,
        user,
        request.key,
    )
    .fetch_one(&mut *conn)
    .await?;
    if !locked {
        return Ok(Begun::InProgress);
    }
    // A statement of its own: it has to see what the last holder of the lock has committed.
    let known = sqlx::query!(
        "SELECT request_sha256, job_id FROM export_idempotency_keys
         WHERE organization_id = $1 AND user_id = $2 AND key = $3
           AND created_at > now() - interval '24 hours'",
        organization,
        user,
        request.key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(match known {
        None => Begun::First,
        Some(known) if known.request_sha256 == request.sha256 => {
            Begun::Repeated(known.job_id.into())
        }
        Some(_) => Begun::Reused,
    })
}

/// Notes which job a key stands for from now on, and removes up to 100 keys whose time is over.
///
/// # Errors
///
/// When Postgres fails.
pub async fn remember(
    conn: &mut PgConnection,
    request: &KeyedRequest,
    job: JobId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO export_idempotency_keys (organization_id, user_id, key, request_sha256, job_id)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (organization_id, user_id, key) DO UPDATE
         SET request_sha256 = excluded.request_sha256, job_id = excluded.job_id,
             created_at = excluded.created_at",
        request.organization.as_uuid(),
        request.user.as_uuid(),
        request.key,
        &request.sha256,
        job.as_uuid(),
    )
    .execute(&mut *conn)
    .await?;
    // After the own key, and past what others have locked: nobody waits in a circle.
    sqlx::query!(
        "DELETE FROM export_idempotency_keys WHERE (organization_id, user_id, key) IN (
             SELECT organization_id, user_id, key FROM export_idempotency_keys
             WHERE created_at <= now() - interval '24 hours'
             ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED
         )",
    )
    .execute(conn)
    .await?;
    Ok(())
}
