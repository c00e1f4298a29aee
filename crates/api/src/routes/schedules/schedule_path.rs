//! The `{id}` of a path to a schedule, and what goes wrong with whatever only needs it to be there.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use domain::ScheduleId;
use store::StoreError;

use crate::problem::{Problem, ProblemCode};

/// The schedule that a path names. What is no id names no schedule: 404.
#[derive(Clone, Copy, Debug)]
pub struct SchedulePath(pub ScheduleId);

impl<S: Send + Sync> FromRequestParts<S> for SchedulePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| not_found())?;
        id.parse().map(Self).map_err(|_| not_found())
    }
}

/// Says that there is no such schedule, for this caller.
fn not_found() -> Problem {
    let detail = "There is no schedule with this id that you may see.";
    Problem::new(ProblemCode::ScheduleNotFound, detail)
}

/// Why nothing was done about a schedule.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The caller has no such schedule.
    #[error("there is no such schedule")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for ScheduleError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => not_found(),
            Self::Store(error) => error.into(),
        }
        .into_response()
    }
}
