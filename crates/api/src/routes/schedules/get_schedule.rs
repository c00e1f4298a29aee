//! `GET /api/v1/export/schedules/{id}`: a schedule.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use store::StoreError;

use super::representation::ScheduleRepresentation;
use super::schedule_path::{SchedulePath, not_found};
use crate::app::App;
use crate::auth::Reader;

/// Why a schedule cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum GetScheduleError {
    /// The caller has no such schedule.
    #[error("there is no such schedule")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for GetScheduleError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => not_found(),
            Self::Store(error) => error.into(),
        }
        .into_response()
    }
}

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
) -> Result<Response, GetScheduleError> {
    let mut connection = store::acquire(&app.pool).await?;
    let schedule = store::schedules::get(&mut connection, principal.reach(), id)
        .await?
        .ok_or(GetScheduleError::NotFound)?;
    Ok(Json(ScheduleRepresentation::new(&schedule)).into_response())
}
