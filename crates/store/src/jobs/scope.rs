//! Whose jobs and schedules somebody may reach: whatever is looked up for a caller is looked up here.

use domain::{ExportJob, JobId, OrganizationId, UserId};
use sqlx::PgConnection;

use super::row::select_jobs;
use crate::error::StoreError;

/// The jobs and schedules that somebody may reach; any other is as good as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Whose rows they export.
    pub organization: OrganizationId,
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
    scope: Scope,
    job: JobId,
) -> Result<Option<ExportJob>, StoreError> {
    let row = select_jobs!(
        "WHERE job_id = $1 AND organization_id = $2 AND user_id = COALESCE($3, user_id)",
        job.as_uuid(),
        scope.organization.as_uuid(),
        scope.user.map(UserId::as_uuid),
    )
    .fetch_optional(conn)
    .await?;
    row.map(ExportJob::try_from).transpose()
}

/// Keeps a job from changing until the end of the transaction, and tells whether there is one.
/// Whoever completes or claims it at this moment waits, or has done so before.
pub(super) async fn lock(
    conn: &mut PgConnection,
    scope: Scope,
    job: JobId,
) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT job_id FROM export_jobs
         WHERE job_id = $1 AND organization_id = $2 AND user_id = COALESCE($3, user_id)
         FOR UPDATE",
        job.as_uuid(),
        scope.organization.as_uuid(),
        scope.user.map(UserId::as_uuid),
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}
