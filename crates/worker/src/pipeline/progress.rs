//! How far an export is, written to Postgres now and then.

use std::time::{Duration, Instant};

use store::StoreError;

use crate::lease::Lease;

/// Counts rows and tells Postgres no more often than an interval allows.
#[derive(Debug)]
pub(super) struct ProgressMeter {
    lease: Lease,
    rows: u64,
    estimated: u64,
    interval: Duration,
    written: Instant,
}

impl ProgressMeter {
    /// Starts to count, and notes the estimate at once.
    pub(super) async fn start(
        lease: Lease,
        estimated: u64,
        interval: Duration,
    ) -> Result<Self, StoreError> {
        lease.progress(0, estimated).await?;
        Ok(Self {
            lease,
            rows: 0,
            estimated,
            interval,
            written: Instant::now(),
        })
    }

    /// Counts rows that are in the file.
    pub(super) async fn advance(&mut self, rows: u64) -> Result<(), StoreError> {
        self.rows += rows;
        if self.written.elapsed() >= self.interval {
            self.lease.progress(self.rows, self.estimated).await?;
            self.written = Instant::now();
        }
        Ok(())
    }

    /// Returns the rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}
