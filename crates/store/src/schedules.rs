//! Exports that recur, and the runs that are due.

use chrono::{DateTime, Utc};
use domain::{
    ExportJob, JobId, KeyPrefix, Narrowing, OrganizationId, Recurrence, Schedule,
    ScheduleErrorCode, ScheduleFailure, ScheduleId, ScheduleRequest, UserId, Window,
};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::jobs::{self, NewJob, Scope};
use crate::transaction;

/// An export that is to recur.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// Its id.
    pub id: ScheduleId,
    /// Whose rows.
    pub organization: OrganizationId,
    /// Which of them.
    pub narrowed_to: Narrowing,
    /// Who asks.
    pub user: UserId,
    /// What for.
    pub request: ScheduleRequest,
    /// When it runs first.
    pub next_run_at: DateTime<Utc>,
}

/// Adds a schedule, unless its organization has `limit` already; then it says so with `false`.
///
/// # Errors
///
/// When Postgres fails.
pub async fn insert(
    conn: &mut PgConnection,
    schedule: &NewSchedule,
    limit: u32,
) -> Result<bool, StoreError> {
    let request = &schedule.request;
    let organization = schedule.organization.as_uuid();
    let mut tx = transaction::begin(conn).await?;
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'schedules', $1::uuid), 0))",
        organization,
    )
    .execute(&mut *tx)
    .await?;
    let result = sqlx::query!(
        "INSERT INTO export_schedules (schedule_id, user_id, organization_id, name, cron, time_zone,
                                       last, key_prefix, export, next_run_at, narrowed_to)
         SELECT $1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text, $7::text, $8::text,
                $9::jsonb, $10::timestamptz, $12
         WHERE (SELECT count(*) FROM export_schedules WHERE organization_id = $3) < $11",
        schedule.id.as_uuid(),
        schedule.user.as_uuid(),
        organization,
        request.name,
        request.recurrence.cron(),
        request.recurrence.zone().name(),
        request.last.as_str(),
        request.prefix.as_ref().map(KeyPrefix::as_str),
        Value::Object(request.export.clone()),
        schedule.next_run_at,
        i64::from(limit),
        Json(&schedule.narrowed_to) as _,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(result.rows_affected() > 0)
}

/// Reads whole rows of `export_schedules`, with what follows `FROM export_schedules`.
macro_rules! select_schedules {
    ($rest:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ScheduleRow,
            r#"SELECT schedule_id, user_id, organization_id,
                    narrowed_to AS "narrowed_to: Json<Narrowing>", name, cron, time_zone, last, key_prefix,
                    export, next_run_at, last_run_at, last_job_id, error_code, error_message,
                    created_at
             FROM export_schedules "# + $rest
            $(, $argument)*
        )
    };
}

/// Returns the schedules that somebody may reach, oldest first. A row that cannot be read is an error of
/// its own.
///
/// # Errors
///
/// When Postgres fails.
pub async fn list(
    conn: &mut PgConnection,
    scope: &Scope,
) -> Result<Vec<Result<Schedule, StoreError>>, StoreError> {
    let rows = select_schedules!(
        "WHERE organization_id = $1 AND user_id = COALESCE($2, user_id)
           AND narrowed_to @> $3
         ORDER BY created_at, schedule_id",
        scope.organization.as_uuid(),
        scope.user.map(UserId::as_uuid),
        Json(&scope.narrowed_to) as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Schedule::try_from).collect())
}

/// Returns a schedule that somebody may reach; any other is as good as none.
///
/// # Errors
///
/// When Postgres fails, or the row cannot be read.
pub async fn get(
    conn: &mut PgConnection,
    scope: &Scope,
    schedule: ScheduleId,
) -> Result<Option<Schedule>, StoreError> {
    let row = select_schedules!(
        "WHERE schedule_id = $1 AND organization_id = $2 AND user_id = COALESCE($3, user_id)
           AND narrowed_to @> $4",
        schedule.as_uuid(),
        scope.organization.as_uuid(),
        scope.user.map(UserId::as_uuid),
        Json(&scope.narrowed_to) as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Schedule::try_from).transpose()
}

/// Removes a schedule that somebody may reach; the jobs that it has made stay. Says whether there was one.
///
/// # Errors
///
/// When Postgres fails.
pub async fn delete(
    conn: &mut PgConnection,
    scope: &Scope,
    schedule: ScheduleId,
) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "DELETE FROM export_schedules
         WHERE schedule_id = $1 AND organization_id = $2 AND user_id = COALESCE($3, user_id)
           AND narrowed_to @> $4",
        schedule.as_uuid(),
        scope.organization.as_uuid(),
        scope.user.map(UserId::as_uuid),
        Json(&scope.narrowed_to) as _,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// A schedule whose time has come.
#[derive(Debug)]
pub struct Due {
    /// The schedule.
    pub schedule: Schedule,
    /// The first of its runs that has not been.
    pub run_at: DateTime<Utc>,
    /// The time, by the database's clock.
    pub now: DateTime<Utc>,
}

/// Locks the schedule that has been due for longest, past those that others have locked and those that
/// are `put_off`. What becomes of it is to be noted in the same transaction, with [`advance`].
///
/// # Errors
///
/// When Postgres fails. A row that cannot be read is [`StoreError::CorruptSchedule`].
pub async fn lock_due(
    tx: &mut PgConnection,
    put_off: &[ScheduleId],
) -> Result<Option<Due>, StoreError> {
    let put_off: Vec<_> = put_off.iter().map(|schedule| schedule.as_uuid()).collect();
    let row = select_schedules!(
        "WHERE next_run_at <= now() AND schedule_id <> ALL($1)
         ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        &put_off,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let now = sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(tx)
        .await?;
    let schedule = Schedule::try_from(row)?;
    let Some(run_at) = schedule.next_run_at else {
        return Ok(None);
    };
    Ok(Some(Due {
        schedule,
        run_at,
        now,
    }))
}

/// Adds the job of a run. Where there can be none, the transaction goes on without it.
///
/// # Errors
///
/// [`StoreError::UnknownPrincipal`] when the user or the organization does not exist.
pub async fn make(tx: &mut PgConnection, job: NewJob) -> Result<ExportJob, StoreError> {
    let mut attempt = transaction::begin(tx).await?;
    let job = jobs::insert(&mut attempt, job).await?;
    attempt.commit().await?;
    Ok(job)
}

/// Notes what became of a run: the job that it made, or why it made none; and when the next one is.
///
/// # Errors
///
/// When Postgres fails.
pub async fn advance(
    tx: &mut PgConnection,
    schedule: ScheduleId,
    run_at: DateTime<Utc>,
    outcome: Result<JobId, &ScheduleFailure>,
    next_run_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let failure = outcome.err();
    sqlx::query!(
        "UPDATE export_schedules
         SET last_run_at = $2, last_job_id = COALESCE($3, last_job_id), error_code = $4,
             error_message = $5, next_run_at = $6
         WHERE schedule_id = $1",
        schedule.as_uuid(),
        run_at,
        outcome.ok().map(JobId::as_uuid),
        failure.map(|failure| failure.code.as_str()),
        failure.map(|failure| failure.message.as_str()),
        next_run_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The columns of a schedule, as they stand in the table.
struct ScheduleRow {
    schedule_id: Uuid,
    user_id: Uuid,
    organization_id: Uuid,
    narrowed_to: Json<Narrowing>,
    name: String,
    cron: String,
    time_zone: String,
    last: String,
    key_prefix: Option<String>,
    export: Value,
    next_run_at: Option<DateTime<Utc>>,
    last_run_at: Option<DateTime<Utc>>,
    last_job_id: Option<Uuid>,
    error_code: Option<String>,
    error_message: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<ScheduleRow> for Schedule {
    type Error = StoreError;

    fn try_from(row: ScheduleRow) -> Result<Self, StoreError> {
        let schedule = ScheduleId::from(row.schedule_id);
        row.read().ok_or(StoreError::CorruptSchedule { schedule })
    }
}

impl ScheduleRow {
    fn read(self) -> Option<Schedule> {
        let Value::Object(export) = self.export else {
            return None;
        };
        let zone = self.time_zone.parse().ok()?;
        let failure = match self.error_code.zip(self.error_message) {
            Some((code, message)) => Some(ScheduleFailure {
                code: ScheduleErrorCode::parse(&code)?,
                message,
            }),
            None => None,
        };
        Some(Schedule {
            id: self.schedule_id.into(),
            organization: self.organization_id.into(),
            narrowed_to: self.narrowed_to.0,
            user: self.user_id.into(),
            request: ScheduleRequest {
                name: self.name,
                recurrence: Recurrence::parse(&self.cron, zone).ok()?,
                last: Window::parse(&self.last)?,
                prefix: self
                    .key_prefix
                    .map(|prefix| KeyPrefix::parse(&prefix))
                    .transpose()
                    .ok()?,
                export,
            },
            failure,
            next_run_at: self.next_run_at,
            last_run_at: self.last_run_at,
            last_job: self.last_job_id.map(JobId::from),
            created_at: self.created_at,
        })
    }
}
