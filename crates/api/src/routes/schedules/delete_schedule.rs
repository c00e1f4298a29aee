//! `DELETE /api/v1/export/schedules/{id}`: a schedule ends.

use axum::extract::State;
use axum::http::StatusCode;

use super::schedule_path::{ScheduleError, SchedulePath};
use crate::app::App;
use crate::auth::Creator;

/// Answers 204 once the schedule is gone. The exports that it has made stay, and those that run go on.
///
/// # Errors
///
/// 404 when the caller has no such schedule.
#[utoipa::path(
    delete, path = "/api/v1/export/schedules/{id}", tag = "schedules", security(("token" = ["export:create"])),
    params(("id" = Uuid, Path, description = "The id of the schedule.")),
    responses((status = 204, description = "It is gone.")),
)]
pub async fn delete_schedule(
    State(app): State<App>,
    Creator(principal): Creator,
    SchedulePath(id): SchedulePath,
) -> Result<StatusCode, ScheduleError> {
    let mut connection = store::acquire(&app.pool).await?;
    if store::schedules::delete(&mut connection, &principal.reach(), id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ScheduleError::NotFound)
    }
}
