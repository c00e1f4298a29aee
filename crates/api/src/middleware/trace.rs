//! One span and one log line per request, in the trace of its caller. Never a query, a token or a body.

use std::time::Instant;

use axum::extract::{Extension, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use domain::TraceParent;
use runtime::traces;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, error, info, info_span};

use crate::middleware::RequestId;
use crate::problem::Problem;

/// Where in which trace the caller is, by W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// Runs the request inside a span and logs how it was answered.
///
/// Requests for health and readiness arrive every few seconds and are logged at debug level.
pub async fn trace(
    Extension(id): Extension<RequestId>,
    route: Option<Extension<MatchedPath>>,
    request: Request,
    next: Next,
) -> Response {
    let route = route.as_ref().map_or("none", |route| route.as_str());
    let span = info_span!(
        "http.request",
        request.id = id.as_str(),
        http.method = %request.method(),
        http.route = route,
        otel.kind = "server",
        otel.status_code = Empty,
    );
    let parent = request.headers().get(TRACEPARENT);
    let parent = parent.and_then(|parent| TraceParent::parse(parent.to_str().ok()?));
    traces::follow(&span, parent.as_ref());
    traces::rename(&span, format!("{} {route}", request.method()));
    let probe = matches!(route, "/healthz" | "/readyz");
    async move {
        let begin = Instant::now();
        let response = next.run(request).await;
        log(&response, probe, begin.elapsed().as_millis());
        if response.status().is_server_error() {
            Span::current().record("otel.status_code", "ERROR");
        }
        response
    }
    .instrument(span)
    .await
}

fn log(response: &Response, probe: bool, elapsed_ms: u128) {
    let status = response.status();
    let problem = response.extensions().get::<Problem>();
    let code = problem.map(|problem| problem.code().as_str());
    let cause = problem.and_then(Problem::cause_chain);
    let (http_status, cause) = (status.as_u16(), cause.as_deref());
    if probe {
        debug!(http_status, elapsed_ms, "request answered");
    } else if status.is_server_error() {
        error!(http_status, code, cause, elapsed_ms, "request failed");
    } else {
        info!(http_status, code, cause, elapsed_ms, "request answered");
    }
}
