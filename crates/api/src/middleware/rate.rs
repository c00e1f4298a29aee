//! Refuses requests of organizations that ask too often, and says how many are left.

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::auth::{AuthError, Principal};
use crate::problem::{Problem, ProblemCode};
use crate::rate::Left;

/// Where exports are requested; whatever else is posted is a request like any other.
const EXPORTS: &str = "/api/v1/export";

/// Answers `rate_limited` when the organization has no request left. Who has no valid token is told so
/// by the route.
pub(crate) async fn limit_rate(
    State(app): State<App>,
    principal: Result<Principal, AuthError>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let Ok(Principal { organization, .. }) = principal else {
        return next.run(request).await;
    };
    let taken = if request.method() == Method::POST && route.as_str() == EXPORTS {
        app.rates.take_create(&app.pool, organization).await
    } else {
        Ok(app.rates.take_other(organization))
    };
    let left = match taken {
        Ok(Some(left)) => left,
        Ok(None) => return next.run(request).await,
        Err(error) => return Problem::from(error).into_response(),
    };
    let mut response = if left.refused() {
        Problem::from(left).into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in left.headers() {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

impl From<Left> for Problem {
    fn from(left: Left) -> Self {
        let (requests, wait) = (left.requests(), left.one_more_in_s());
        let detail =
            format!("The organization may send {requests} requests of this kind a minute.");
        Self::new(ProblemCode::RateLimited, detail).header(RETRY_AFTER, HeaderValue::from(wait))
    }
}
