//! `GET /api/v1/export/{id}`: a job.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use domain::JobState;
use store::StoreError;

use crate::app::App;
use crate::auth::Principal;
use crate::problem::Problem;
use crate::representation::JobRepresentation;
use crate::routes::{JobPath, POLL_AFTER};

/// Why a job could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum GetExportError {
    /// The caller's organization has no such job.
    #[error("there is no such job")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for GetExportError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Store(error) => error.into(),
        }
        .into_response()
    }
}

/// Answers 200 with the job; while it is not done, `Retry-After` says when to ask again.
///
/// # Errors
///
/// 404 when the caller's organization has no such job.
pub async fn get_export(
    State(app): State<App>,
    principal: Principal,
    JobPath(id): JobPath,
) -> Result<Response, GetExportError> {
    let mut connection = store::acquire(&app.pool).await?;
    let job = store::jobs::get(&mut connection, principal.organization, id)
        .await?
        .ok_or(GetExportError::NotFound)?;
    let mut headers = HeaderMap::new();
    if matches!(job.state, JobState::Pending | JobState::Processing) {
        headers.insert(RETRY_AFTER, POLL_AFTER);
    }
    Ok((headers, Json(JobRepresentation::new(&job, &app.links))).into_response())
}
