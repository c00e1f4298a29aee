//! The `{id}` of a path to a schedule.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use domain::ScheduleId;

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
pub(super) fn not_found() -> Problem {
    let detail = "There is no schedule with this id that you may see.";
    Problem::new(ProblemCode::ScheduleNotFound, detail)
}
