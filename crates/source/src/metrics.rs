//! What this crate counts: queries on telemetry.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_histogram, histogram};

/// How long ClickHouse takes to answer.
const QUERIES: &str = "export_clickhouse_query_seconds";
/// How often it is asked again for less.
const SHORTENED: &str = "export_clickhouse_ranges_shortened_total";

/// What a query is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The rows of an export: until the answer begins.
    Rows,
    /// Anything with a small answer, such as counting for a plan: until it ends.
    Count,
}

/// Says what the numbers mean.
pub(crate) fn describe() {
    describe_histogram!(
        QUERIES,
        "Queries on telemetry, until the answer begins (rows) or ends (count)"
    );
    describe_counter!(
        SHORTENED,
        "Ranges of time that had more rows than fit, and were asked for again in pieces"
    );
    counter!(SHORTENED).increment(0);
}

/// Counts a query.
pub(crate) fn asked<T, E>(purpose: Purpose, answer: &Result<T, E>, elapsed: Duration) {
    let purpose = match purpose {
        Purpose::Rows => "rows",
        Purpose::Count => "count",
    };
    let outcome = if answer.is_ok() { "ok" } else { "error" };
    histogram!(QUERIES, "purpose" => purpose, "outcome" => outcome).record(elapsed);
}

/// Counts a range that is asked for again.
pub(crate) fn shortened() {
    counter!(SHORTENED).increment(1);
}
