//! Bounds how long a request may take, its body included and a wait that it asks for not.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::{Problem, ProblemCode};
use crate::wait;

/// Answers `timeout` when the handler has no answer after `limit`, or as much later as the request
/// asks it to wait for something.
pub async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit + wait::of(&request), next.run(request)).await {
        Ok(response) => response,
        Err(elapsed) => Problem::new(ProblemCode::Timeout, "Please try again in a few seconds.")
            .header(RETRY_AFTER, HeaderValue::from_static("5"))
            .caused_by(elapsed)
            .into_response(),
    }
}
