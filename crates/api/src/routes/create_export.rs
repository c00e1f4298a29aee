//! `POST /api/v1/export`: a new job.

mod validate;

use axum::Json;
use axum::extract::State;
use axum::http::header::{InvalidHeaderValue, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::{JobId, Violation};
use store::StoreError;
use store::jobs::NewJob;
use uuid::Uuid;

use crate::app::App;
use crate::auth::Principal;
use crate::client::Client;
use crate::json::JsonBody;
use crate::problem::Problem;
use crate::representation::JobRepresentation;
use crate::routes::POLL_AFTER;
use crate::routes::create_export::validate::validate;

/// Why no job was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateExportError {
    /// The request is wrong.
    #[error("the request is wrong")]
    Invalid(Vec<Violation>),
    /// The database failed, or does not know the caller.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row that was just written cannot be read.
    #[error("the new job is not there")]
    Vanished,
    /// The address of the job is no header.
    #[error("the address of the job is no header")]
    Location(#[from] InvalidHeaderValue),
}

impl IntoResponse for CreateExportError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::Store(error) => error.into(),
            Self::Vanished | Self::Location(_) => Problem::internal(self),
        }
        .into_response()
    }
}

/// Makes a job and answers 202 with it. The job is there once its row is committed; the wake-up
/// of a worker follows in the background.
///
/// # Errors
///
/// 422 with everything that is wrong with the request; 403 when the platform does not know the
/// user or the organization.
pub async fn create_export(
    State(app): State<App>,
    principal: Principal,
    client: Client,
    JsonBody(body): JsonBody,
) -> Result<Response, CreateExportError> {
    let request = validate(&body, &app.limits, &app.catalogue, principal.organization)
        .map_err(CreateExportError::Invalid)?;
    let job = NewJob {
        id: JobId::from(Uuid::now_v7()),
        organization: principal.organization,
        actor: client.acting_for(principal.user),
        request,
    };
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    store::jobs::insert(&mut tx, &job).await?;
    let job = store::jobs::get(&mut tx, job.organization, job.id)
        .await?
        .ok_or(CreateExportError::Vanished)?;
    tx.commit().await.map_err(StoreError::from)?;
    app.wake(job.id);
    let location = HeaderValue::try_from(app.links.job(job.id))?;
    let headers = [(LOCATION, location), (RETRY_AFTER, POLL_AFTER)];
    let body = Json(JobRepresentation::new(&job, &app.links));
    Ok((StatusCode::ACCEPTED, headers, body).into_response())
}
