//! `POST /api/v1/export/schedules`: an export that recurs.

use axum::Json;
use axum::extract::State;
use axum::http::header::{InvalidHeaderValue, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Clock, Pointer, ScheduleId, ScheduleRequest, SystemClock, TimeRange, Violation, export_of,
};
use serde_json::Value;
use store::StoreError;
use store::schedules::NewSchedule;
use uuid::Uuid;

use super::representation::ScheduleRepresentation;
use crate::app::App;
use crate::auth::{Creator, Principal};
use crate::json::JsonBody;
use crate::openapi::ScheduleRequestSchema;
use crate::problem::{Problem, ProblemCode};
use crate::routes::validate::validate;

/// Why no schedule was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateScheduleError {
    /// The request is wrong.
    #[error("the request is wrong")]
    Invalid(Vec<Violation>),
    /// The organization has as many schedules as it may have.
    #[error("there are too many schedules")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row of the schedule cannot be found, though it was just written.
    #[error("the schedule is not there")]
    Vanished,
    /// The address of the schedule is no header.
    #[error("the address of the schedule is no header")]
    Location(#[from] InvalidHeaderValue),
}

impl IntoResponse for CreateScheduleError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::TooMany => {
                let detail = "Delete one that is not needed any more.";
                Problem::new(ProblemCode::TooManySchedules, detail)
            }
            Self::Store(error) => error.into(),
            Self::Vanished | Self::Location(_) => Problem::internal(self),
        }
        .into_response()
    }
}

/// Makes a schedule and answers 201 with it.
///
/// # Errors
///
/// 422 with everything that is wrong with the request; 409 when the organization has as many schedules
/// as it may have.
#[utoipa::path(
    post, path = "/api/v1/export/schedules", tag = "schedules", security(("token" = ["export:create"])),
    request_body(content = ScheduleRequestSchema),
    responses((
        status = 201, description = "The schedule.", body = ScheduleRepresentation<'static>,
        headers(("Location" = String, description = "The address of the schedule.")),
    )),
)]
pub async fn create_schedule(
    State(app): State<App>,
    Creator(principal): Creator,
    JsonBody(body): JsonBody,
) -> Result<Response, CreateScheduleError> {
    let now = SystemClock.now();
    let (request, next_run_at) =
        read(&app, &body, &principal, now).map_err(CreateScheduleError::Invalid)?;
    let schedule = NewSchedule {
        id: ScheduleId::from(Uuid::now_v7()),
        organization: principal.organization,
        narrowed_to: principal.narrowed_to.clone(),
        user: principal.user,
        request,
        next_run_at,
    };
    let mut connection = store::acquire(&app.pool).await?;
    if !store::schedules::insert(&mut connection, &schedule, app.limits.max_schedules).await? {
        return Err(CreateScheduleError::TooMany);
    }
    let schedule = store::schedules::get(&mut connection, &principal.own(), schedule.id)
        .await?
        .ok_or(CreateScheduleError::Vanished)?;
    let location = HeaderValue::try_from(app.links.schedule(schedule.id))?;
    let body = Json(ScheduleRepresentation::new(&schedule));
    Ok((StatusCode::CREATED, [(LOCATION, location)], body).into_response())
}

/// Reads a schedule, and when it runs first. The export is judged as if it ran now.
fn read(
    app: &App,
    body: &Value,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Result<(ScheduleRequest, DateTime<Utc>), Vec<Violation>> {
    let shortest = TimeDelta::seconds(app.limits.min_schedule_interval_s.into());
    let schedule = ScheduleRequest::parse(body, shortest, now);
    let window = schedule
        .as_ref()
        .ok()
        .and_then(|schedule| schedule.window(now));
    // Where the schedule itself is wrong, any window does.
    let second = DateTime::UNIX_EPOCH + TimeDelta::seconds(1);
    let window = window.or_else(|| TimeRange::new(DateTime::UNIX_EPOCH, second));
    let limits = app.limits.of(&app.quotas.of(principal.organization));
    let export = body.get("export").and_then(Value::as_object).zip(window);
    let refusals = export
        .and_then(|(export, window)| {
            validate(app, &export_of(export, window), &limits, principal).err()
        })
        .unwrap_or_default();
    let refusals = refusals.into_iter().map(|refusal| Violation {
        pointer: match refusal.pointer.as_str() {
            "/start_time" | "/end_time" => Pointer::root().child("last"),
            _ => refusal.pointer.below(&Pointer::root().child("export")),
        },
        ..refusal
    });
    match schedule {
        Ok(schedule) => {
            let refusals: Vec<_> = refusals.collect();
            let next = schedule.recurrence.next_after(now);
            match next.filter(|_| refusals.is_empty()) {
                Some(next) => Ok((schedule, next)),
                None => Err(refusals),
            }
        }
        Err(mut violations) => {
            violations.extend(refusals);
            Err(violations)
        }
    }
}
