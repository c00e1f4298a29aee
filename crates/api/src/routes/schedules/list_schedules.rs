//! `GET /api/v1/export/schedules`: the schedules of the caller, or for an admin of the organization.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Schedule;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use super::representation::ScheduleRepresentation;
use crate::app::App;
use crate::auth::Reader;
use crate::problem::Problem;
use crate::readable::readable;

/// Why no schedules are listed.
#[derive(Debug, thiserror::Error)]
pub enum ListSchedulesError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for ListSchedulesError {
    fn into_response(self) -> Response {
        let Self::Store(error) = self;
        Problem::from(error).into_response()
    }
}

/// All schedules that somebody may see.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Schedules<'a> {
    schedules: Vec<ScheduleRepresentation<'a>>,
}

impl<'a> Schedules<'a> {
    pub(crate) fn of(schedules: impl Iterator<Item = &'a Schedule>) -> Self {
        Self {
            schedules: schedules.map(ScheduleRepresentation::new).collect(),
        }
    }
}

/// Answers 200 with the schedules that the user has made for the organization, oldest first; for an admin
/// with those that anybody has.
///
/// # Errors
///
/// When the database fails.
#[utoipa::path(
    get, path = "/api/v1/export/schedules", tag = "schedules", security(("token" = ["export:read"])),
    responses((status = 200, description = "The schedules.", body = Schedules<'static>)),
)]
pub async fn list_schedules(
    State(app): State<App>,
    Reader(principal): Reader,
) -> Result<Response, ListSchedulesError> {
    let mut connection = store::acquire(&app.pool).await?;
    let schedules = store::schedules::list(&mut connection, &principal.reach()).await?;
    let schedules = schedules.iter().filter_map(readable);
    Ok(Json(Schedules::of(schedules)).into_response())
}
