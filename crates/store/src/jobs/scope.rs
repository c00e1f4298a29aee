//! Whose jobs and schedules somebody may reach: whatever is looked up for a caller is looked up here.

use domain::{ExportJob, JobId, Narrowing, OrganizationId, UserId};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::row::select_jobs;
use crate::error::StoreError;

/// The jobs and schedules that somebody may reach; any other is as good as none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Whose rows they export.
    pub organization: OrganizationId,
    /// What they are narrowed to at least: they may have fewer rows than that, and never more.
    pub narrowed_to: Narrowing,
    /// Who made them; anybody of the organization when there is no user.
    pub user: Option<UserId>,
}

/// Returns a job.
///
/// # Errors
///
/// When Postgres fails, or the row cannot be read.
pub async fn get(
    conn: &mut PgConnection,
    scope: &Scope,
    job: JobId,
) -> Result<Option<ExportJob>, StoreError> {
    let row = select_jobs!(
        "WHERE job_id = $1 AND organization_id = $2 AND user_id = COALESCE($3, user_id)
           AND narrowed_to @> $4",
        job.as_uuid(),
        scope.organization.as_uuid(),
        scope.user.map(UserId::as_uuid),
        Json(&scope.narrowed_to) as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(ExportJob::try_from).transpose()
}

/// Keeps a job from changing until the end of the transaction, and tells whether there is one.
/// Whoever completes or claims it at this moment waits, or has done so before.
pub(super) async fn lock(
    conn: &mut PgConnection,
    scope: &Scope,
    job: JobId,
) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT job_id FROM export_jobs
         WHERE job_id = $1 AND organization_id = $2 AND user_id = COALESCE($3, user_id)
           AND narrowed_to @> $4
         FOR UPDATE",
        job.as_uuid(),
        scope.organization.as_uuid(),
        scope.user.map(UserId::as_uuid),
        Json(&scope.narrowed_to) as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}
