//! What the API itself counts: requests, and clients that wait. What becomes of jobs is counted by
//! `store`.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{describe_gauge, describe_histogram, gauge, histogram};
use runtime::metrics::Counted;
use store::jobs::Queue;

const REQUESTS: &str = "export_http_request_seconds";
const WATCHERS: &str = "export_watchers";
const JOBS: &str = "export_jobs";
const OLDEST_DUE: &str = "export_queue_age_seconds";
const QUEUE_KNOWN: &str = "export_queue_known";

/// Says what the numbers mean.
pub(crate) fn describe() {
    describe_histogram!(REQUESTS, "Requests, until the headers of the answer");
    describe_gauge!(
        WATCHERS,
        "Clients that wait for changes of jobs at this process"
    );
    describe_gauge!(JOBS, "Jobs that have not ended; due ones wait for a worker");
    describe_gauge!(
        OLDEST_DUE,
        "For how long the oldest due job has waited for a worker, but for those that a quota holds back"
    );
    describe_gauge!(
        QUEUE_KNOWN,
        "1 when Postgres has just told how the queue is, else 0, and the queue is NaN"
    );
    gauge!(WATCHERS).set(0);
}

/// Counts a request. `route` is a template, never a path.
pub(crate) fn answered(method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        // Clients can make up any number of methods.
        _ => "other",
    };
    let status = match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    histogram!(REQUESTS, "method" => method, "route" => route.to_owned(), "status" => status)
        .record(elapsed);
}

/// Counts a client that waits, until it is dropped.
pub(crate) fn watching() -> Counted {
    Counted::in_gauge(gauge!(WATCHERS))
}

/// Says how the queue is, as far as that is known.
pub(crate) fn queue(queue: Option<&Queue>) {
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 jobs")]
    let jobs = |count: fn(&Queue) -> u64| queue.map_or(f64::NAN, |queue| count(queue) as f64);
    gauge!(JOBS, "state" => "due").set(jobs(|queue| queue.due));
    gauge!(JOBS, "state" => "delayed").set(jobs(|queue| queue.delayed));
    gauge!(JOBS, "state" => "processing").set(jobs(|queue| queue.processing));
    let age = queue.map_or(f64::NAN, |queue| queue.oldest_due.as_secs_f64());
    gauge!(OLDEST_DUE).set(age);
    gauge!(QUEUE_KNOWN).set(if queue.is_some() { 1.0 } else { 0.0 });
}
