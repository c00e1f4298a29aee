//! Export jobs: requested, found again, claimed, worked on, ended.

mod claim;
mod costs;
mod end;
mod intake;
pub mod links;
mod list;
mod queue;
pub(crate) mod row;
mod scope;
mod turn;
mod watch;
mod withdraw;

use chrono::{DateTime, Utc};
use domain::{
    ExportJob, ExportRequest, Filters, JobId, KeyPrefix, Narrowing, OrganizationId, ScheduleId,
    TraceParent, UserId,
};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

pub use claim::{Claim, Claimed, Terms, check, claim, progress, renew};
pub use costs::{Cost, costs};
pub use end::{complete, fail, release, retry};
pub use list::{Listed, Listing, Position, list};
pub use queue::{Queue, queue};
pub(crate) use row::{bigint, load};
pub use scope::{Scope, get};
pub use watch::{Watched, changed};
pub use withdraw::{expire, withdraw};

use crate::error::StoreError;
use crate::events::{Actor, EventKind};

/// A job that has just been asked for.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Whose rows.
    pub organization: OrganizationId,
    /// Which of them.
    pub narrowed_to: Narrowing,
    /// Who asks.
    pub user: UserId,
    /// From where.
    pub actor: Actor,
    /// What for.
    pub request: ExportRequest,
    /// Where in a trace it is asked for, if it is traced.
    pub trace: Option<TraceParent>,
    /// The run of a schedule that makes it.
    pub run: Option<Run>,
}

/// A run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The schedule.
    pub schedule: ScheduleId,
    /// When the run was to be; each makes one job.
    pub run_at: DateTime<Utc>,
    /// Where the object is to be, below the prefix of the organization.
    pub prefix: Option<KeyPrefix>,
}

/// Adds a job, PENDING and due at once, and the event that it was requested, in one statement.
///
/// # Errors
///
/// [`StoreError::UnknownPrincipal`] when the user or the organization does not exist.
pub async fn insert(conn: &mut PgConnection, job: NewJob) -> Result<ExportJob, StoreError> {
    let NewJob {
        id,
        organization,
        narrowed_to,
        user,
        actor,
        request,
        trace,
        run,
    } = job;
    let run = run.as_ref();
    let created_at = sqlx::query_scalar!(
        r#"WITH job AS (
               INSERT INTO export_jobs (job_id, user_id, organization_id, data_type, format,
                                        compression, start_time, end_time, filters, columns, options,
                                        trace_parent, schedule_id, scheduled_for, key_prefix,
                                        narrowed_to)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $15, $16, $17, $18, $19)
               RETURNING job_id, user_id, created_at
           ), event AS (
               INSERT INTO export_events (job_id, kind, user_id, ip, user_agent)
               SELECT job_id, $12, user_id, $13::text::inet, left($14, 512) FROM job
           )
           SELECT created_at FROM job"#,
        id.as_uuid(),
        user.as_uuid(),
        organization.as_uuid(),
        request.data_type.as_str(),
        request.output.format().as_str(),
        request.output.compression().as_str(),
        request.range.start(),
        request.range.end(),
        request.filters.as_ref().map(Filters::as_posted),
        request.columns.clone().map(Value::from),
        request.options_json(),
        EventKind::Requested.as_str(),
        actor.ip.map(|ip| ip.to_string()),
        actor.user_agent,
        trace.as_ref().map(TraceParent::as_str),
        run.map(|run| run.schedule.as_uuid()),
        run.map(|run| run.run_at),
        run.and_then(|run| run.prefix.as_ref())
            .map(KeyPrefix::as_str),
        Json(&narrowed_to) as _,
    )
    .fetch_one(conn)
    .await
    .map_err(|error| match error.as_database_error() {
        Some(refusal) if refusal.is_foreign_key_violation() => StoreError::UnknownPrincipal(error),
        _ => error.into(),
    })?;
    let schedule = run.map(|run| run.schedule);
    let key_prefix = run.and_then(|run| run.prefix.clone());
    Ok(ExportJob {
        schedule,
        key_prefix,
        ..ExportJob::requested(
            id,
            user,
            organization,
            narrowed_to,
            request,
            trace,
            created_at,
        )
    })
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
