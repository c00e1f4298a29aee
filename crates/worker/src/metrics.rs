//! What the worker itself counts: the work on files. What becomes of jobs is counted by `store`.

use std::time::Duration;

use metrics::{
    Counter, Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use runtime::metrics::Counted;
use store::jobs::Claim;

const RUNNING: &str = "export_jobs_running";
const ROWS: &str = "export_rows_total";
const BYTES: &str = "export_bytes_total";
const DURATION: &str = "export_duration_seconds";
const SLICE_READ: &str = "export_slice_read_seconds";

/// Says what the numbers mean.
pub(crate) fn describe() {
    describe_gauge!(RUNNING, "Jobs that run in this process");
    describe_counter!(
        ROWS,
        "Rows that were written, those of repeated slices again"
    );
    describe_counter!(BYTES, "Bytes that were written, compressed");
    describe_histogram!(
        DURATION,
        "Attempts that made a file, from the claim to the file"
    );
    describe_histogram!(
        SLICE_READ,
        "Slices, from the first query to the last block, with the time that the encoders and S3 took"
    );
    gauge!(RUNNING).set(0);
}

/// Counts a job that runs, until it is dropped.
pub(crate) fn running() -> Counted {
    Counted::in_gauge(gauge!(RUNNING))
}

/// Counts an attempt that made a file.
pub(crate) fn exported(claim: &Claim, elapsed: Duration) {
    histogram!(DURATION, labels(claim)).record(elapsed);
}

/// Counts a slice that was read to its end.
pub(crate) fn slice_read(claim: &Claim, elapsed: Duration) {
    histogram!(SLICE_READ, labels(claim)).record(elapsed);
}

/// Counts what a job writes.
pub(crate) struct Written {
    rows: Counter,
    bytes: Counter,
}

impl Written {
    pub(crate) fn by(claim: &Claim) -> Self {
        Self {
            rows: counter!(ROWS, labels(claim)),
            bytes: counter!(BYTES, labels(claim)),
        }
    }

    pub(crate) fn block(&self, rows: u64, bytes: usize) {
        self.rows.increment(rows);
        self.bytes.increment(bytes as u64);
    }
}

fn labels(claim: &Claim) -> Vec<Label> {
    vec![
        Label::new("dataset", claim.request.data_type.to_string()),
        Label::new("format", claim.request.output.format().as_str()),
    ]
}
