//! The `{id}` of a path, and what goes wrong with whatever only needs the job to be there.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use domain::JobId;
use store::StoreError;

use crate::problem::Problem;

/// The job that a path names. What is no id names no job: 404.
#[derive(Clone, Copy, Debug)]
pub struct JobPath(pub JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found())?;
        id.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// Why nothing was done about a job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The caller has no such job.
    #[error("there is no such job")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for JobError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Store(error) => error.into(),
        }
        .into_response()
    }
}
