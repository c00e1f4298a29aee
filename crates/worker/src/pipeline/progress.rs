//! How far an export is, written to Postgres now and then.

use std::error::Error;
use std::time::{Duration, Instant};

use domain::{Classify, ErrorClass};
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
    /// Starts to count behind `rows` rows, and notes the estimate at once.
    pub(super) async fn start(
        lease: Lease,
        rows: u64,
        estimated: u64,
        interval: Duration,
    ) -> Result<Self, StoreError> {
        let mut meter = Self {
            lease,
            rows,
            estimated,
            interval,
            written: Instant::now(),
        };
        meter.write().await?;
        Ok(meter)
    }

    /// Counts rows that are in the file.
    pub(super) async fn advance(&mut self, rows: u64) -> Result<(), StoreError> {
        self.rows += rows;
        if self.written.elapsed() >= self.interval {
            self.write().await?;
        }
        Ok(())
    }

    /// Tells Postgres. That it cannot be reached is no error: the lease says how long that may last.
    async fn write(&mut self) -> Result<(), StoreError> {
        let written = self.lease.progress(self.rows, self.estimated).await;
        self.written = Instant::now();
        match written {
            Err(error) if matches!(error.class(), ErrorClass::Transient { .. }) => {
                tracing::warn!(error = &error as &dyn Error, "progress is not written");
                Ok(())
            }
            written => written,
        }
    }

    /// Returns the rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}
