//! Counts every request, by its route and the class of its answer.

use std::time::Instant;

use axum::extract::{Extension, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

use crate::metrics;

/// Runs the request and counts how it was answered.
pub async fn measure(
    route: Option<Extension<MatchedPath>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let begin = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", |route| route.as_str());
    metrics::answered(&method, route, response.status(), begin.elapsed());
    response
}
