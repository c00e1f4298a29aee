//! `DELETE /api/v1/export/schedules/{id}`: a schedule ends.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use store::StoreError;

use super::schedule_path::{SchedulePath, not_found};
use crate::app::App;
use crate::auth::Creator;

/// Why a schedule could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum DeleteScheduleError {
    /// The caller has no such schedule.
    #[error("there is no such schedule")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for DeleteScheduleError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => not_found(),
            Self::Store(error) => error.into(),
        }
        .into_response()
    }
}

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
) -> Result<StatusCode, DeleteScheduleError> {
    let mut connection = store::acquire(&app.pool).await?;
    if store::schedules::delete(&mut connection, principal.reach(), id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(DeleteScheduleError::NotFound)
    }
}
