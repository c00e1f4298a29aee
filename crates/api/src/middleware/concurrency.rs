//! Bounds how many requests are answered at the same moment.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::problem::{Problem, ProblemCode};
use crate::wait;

/// Answers `overloaded` at once when there is no place left. Who waits for a change needs none, but a
/// place among the watchers.
pub(crate) async fn limit_concurrency(
    State(places): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    if !wait::of(&request).is_zero() {
        return next.run(request).await;
    }
    let Ok(_place) = places.try_acquire() else {
        return Problem::new(ProblemCode::Overloaded, "Please try again in a moment.")
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
            .into_response();
    };
    next.run(request).await
}
