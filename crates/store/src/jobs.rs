//! Export jobs: requested, found again, claimed, worked on, ended.

mod claim;
mod costs;
mod end;
mod list;
pub(crate) mod row;
mod watch;
mod withdraw;

use domain::{ExportJob, ExportRequest, Filters, JobId, OrganizationId};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

pub use claim::{Claim, Claimed, Terms, check, claim, progress, renew};
pub use costs::{Cost, costs};
pub use end::{complete, fail, release, retry};
pub use list::{Listing, Position, list};
pub(crate) use row::load;
pub use watch::{Watched, changed};
pub use withdraw::{expire, withdraw};

use crate::error::StoreError;
use crate::events::{self, Actor, EventKind};

/// A job that has just been asked for.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Whose rows.
    pub organization: OrganizationId,
    /// Who asks.
    pub actor: Actor,
    /// What for.
    pub request: ExportRequest,
}

/// Adds a job, PENDING and due at once, and the event that it was requested.
///
/// # Errors
///
/// [`StoreError::UnknownPrincipal`] when the user or the organization does not exist.
pub async fn insert(conn: &mut PgConnection, job: &NewJob) -> Result<(), StoreError> {
    let request = &job.request;
    let mut tx = conn.begin().await?;
    sqlx::query!(
        "INSERT INTO export_jobs (job_id, user_id, organization_id, data_type, format, compression,
                                  start_time, end_time, filters, columns, options)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        job.id.as_uuid(),
        job.actor.user.as_uuid(),
        job.organization.as_uuid(),
        request.data_type.as_str(),
        request.output.format().as_str(),
        request.output.compression().as_str(),
        request.range.start(),
        request.range.end(),
        request.filters.as_ref().map(Filters::as_posted),
        request.columns.clone().map(Value::from),
        request.options_json(),
    )
    .execute(&mut *tx)
    .await
    .map_err(|error| match error.as_database_error() {
        Some(refusal) if refusal.is_foreign_key_violation() => StoreError::UnknownPrincipal(error),
        _ => error.into(),
    })?;
    events::append(&mut tx, job.id, EventKind::Requested, Some(&job.actor)).await?;
    Ok(tx.commit().await?)
}

/// Returns a job of the organization; another organization's is as good as none.
///
/// # Errors
///
/// When Postgres fails, or the row cannot be read.
pub async fn get(
    conn: &mut PgConnection,
    organization: OrganizationId,
    job: JobId,
) -> Result<Option<ExportJob>, StoreError> {
    let job = row::find(conn, job).await?;
    Ok(job.filter(|job| job.organization == organization))
}

/// Notes that a wake-up for the job went to the queue.
///
/// # Errors
///
/// When Postgres fails.
pub async fn mark_dispatched(conn: &mut PgConnection, job: JobId) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE export_jobs SET dispatched_at = now() WHERE job_id = $1",
        job.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}
