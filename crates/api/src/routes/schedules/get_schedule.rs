//! `GET /api/v1/export/schedules/{id}`: a schedule.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::representation::ScheduleRepresentation;
use super::schedule_path::{ScheduleError, SchedulePath};
use crate::app::App;
use crate::auth::Reader;

/// Answers 200 with a schedule.
///
/// # Errors
///
/// 404 when the caller has no such schedule.
#[utoipa::path(
    get, path = "/api/v1/export/schedules/{id}", tag = "schedules", security(("token" = ["export:read"])),
    params(("id" = Uuid, Path, description = "The id of the schedule.")),
    responses((status = 200, description = "The schedule.", body = ScheduleRepresentation<'static>)),
)]
pub async fn get_schedule(
    State(app): State<App>,
    Reader(principal): Reader,
    SchedulePath(id): SchedulePath,
) -> Result<Response, ScheduleError> {
    let mut connection = store::acquire(&app.pool).await?;
    let schedule = store::schedules::get(&mut connection, &principal.reach(), id)
        .await?
        .ok_or(ScheduleError::NotFound)?;
    Ok(Json(ScheduleRepresentation::new(&schedule)).into_response())
}
