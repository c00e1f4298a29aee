//! How long a client wants to wait for a change: `?wait=`, in seconds.

use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use domain::Violation;

use crate::parameters::Parameters;

/// The longest wait. Many proxies end a silent connection after a minute.
const LONGEST: u64 = 60;

/// Returns how long a request is to wait, which only those do that read.
pub(crate) fn of(request: &Request) -> Duration {
    match *request.method() {
        Method::GET | Method::HEAD => parse(request.uri().query()).unwrap_or_default(),
        _ => Duration::ZERO,
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
