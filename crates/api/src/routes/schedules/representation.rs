//! A schedule as clients see it.

use chrono::{DateTime, Utc};
use domain::{
    JobId, KeyPrefix, Narrowing, Schedule, ScheduleErrorCode, ScheduleId, UserId, Window,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::openapi::vocabulary;

/// A schedule as clients see it. Every member is always there; what is not known is null.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleRepresentation<'a> {
    #[schema(value_type = Uuid)]
    schedule_id: ScheduleId,
    /// Who made it; the e-mails go there.
    #[schema(value_type = Uuid)]
    user_id: UserId,
    /// The fields and values to which the token of the request narrowed the rows; empty for all rows of the
    /// organization.
    #[schema(value_type = HashMap<String, String>)]
    narrowed_to: &'a Narrowing,
    name: &'a str,
    cron: &'a str,
    time_zone: &'static str,
    #[schema(schema_with = vocabulary::window)]
    last: Window,
    prefix: Option<&'a str>,
    /// As it was posted.
    #[schema(value_type = Object)]
    export: &'a Map<String, Value>,
    /// FAILING when the last run made no job; each next one is tried all the same.
    #[schema(schema_with = vocabulary::schedule_status)]
    status: &'static str,
    error: Option<ScheduleError<'a>>,
    next_run_at: Option<DateTime<Utc>>,
    last_run_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<Uuid>)]
    last_job_id: Option<JobId>,
    created_at: DateTime<Utc>,
}

/// Why the last run made no job.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ScheduleError<'a> {
    #[schema(schema_with = vocabulary::schedule_error_code)]
    code: ScheduleErrorCode,
    message: &'a str,
}

impl<'a> ScheduleRepresentation<'a> {
    /// Shows a schedule.
    pub(crate) fn new(schedule: &'a Schedule) -> Self {
        let request = &schedule.request;
        let error = schedule.failure.as_ref().map(|failure| ScheduleError {
            code: failure.code,
            message: &failure.message,
        });
        Self {
            schedule_id: schedule.id,
            user_id: schedule.user,
            narrowed_to: &schedule.narrowed_to,
            name: &request.name,
            cron: request.recurrence.cron(),
            time_zone: request.recurrence.zone().name(),
            last: request.last,
            prefix: request.prefix.as_ref().map(KeyPrefix::as_str),
            export: &request.export,
            status: if error.is_some() { "FAILING" } else { "ACTIVE" },
            error,
            next_run_at: schedule.next_run_at,
            last_run_at: schedule.last_run_at,
            last_job_id: schedule.last_job,
            created_at: schedule.created_at,
        }
    }
}
