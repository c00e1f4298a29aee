//! How long a client wants to wait for a change: `?wait=`, in seconds.

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use domain::Violation;

use crate::parameters::Parameters;

/// The longest wait. Many proxies end a silent connection after a minute.
const LONGEST: u64 = 60;

/// The route of an export; what it answers to those that read can be waited for, and nothing else.
const ROUTE: &str = "/api/v1/export/{id}";

/// Returns how long a request is to wait.
pub(crate) fn of(request: &Request) -> Duration {
    let route = request.extensions().get::<MatchedPath>();
    let can_wait = matches!(*request.method(), Method::GET | Method::HEAD)
        && route.is_some_and(|route| route.as_str() == ROUTE);
    if can_wait {
        parse(request.uri().query()).unwrap_or_default()
    } else {
        Duration::ZERO
    }
}

/// Reads the query of a request that may wait; without `wait` it does not.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn parse(query: Option<&str>) -> Result<Duration, Vec<Violation>> {
    let mut parameters = Parameters::of(query);
    let wait = parameters.optional("wait", |text| {
        text.parse()
            .ok()
            .filter(|seconds| (0..=LONGEST).contains(seconds))
            .map(Duration::from_secs)
            .ok_or_else(|| format!("must be a number of seconds from 0 to {LONGEST}"))
    });
    parameters.finish().map(|()| wait.unwrap_or_default())
}
