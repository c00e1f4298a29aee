//! What an export would be, before it is made: how many rows, how large a file, and how long it takes.

mod file;

use std::num::NonZeroU64;
use std::time::Duration;

use domain::Output;
use serde::Serialize;
use source::{ClickHouse, Query, SourceError};
use store::jobs::Cost;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::ToSchema;

pub(crate) use crate::estimate::file::Basis;

use crate::config::EstimateConfig;
use crate::estimate::file::FileEstimate;

/// As many estimates are made as this process may make at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many estimates are made at once")]
pub struct TooManyEstimates;

/// Makes estimates, a few at once: they cost ClickHouse time.
pub(crate) struct Estimator {
    clickhouse: ClickHouse,
    room: Semaphore,
    limit: Duration,
    sample_bytes_per_s: NonZeroU64,
}

/// What an export would be at this moment. Every member is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Estimate {
    /// Rows of the file: as many as ClickHouse has counted or, when that takes too long, as it would
    /// have to look at. Null where it tells neither.
    pub(crate) rows: Option<u64>,
    /// Whether the rows were counted. Otherwise they are at most so many, and so are bytes and seconds.
    pub(crate) exact: bool,
    /// About how large the file would be.
    pub(crate) size_bytes: Option<u64>,
    /// About how long it would take from when a worker begins.
    pub(crate) seconds: Option<u64>,
    /// What bytes and seconds are derived from. `exports`: the medians of what a row took in earlier
    /// exports that differ in their window and filters only, the nine that are closest in rows among
    /// the latest ones of the organization or, where it has none, of all. `sample`: there are none, so
    /// this is a rough guess, which can be several times too high or too low: a thousand rows were
    /// measured, and a file is taken to have a fixed part of what they take in memory, and to be made
    /// at a fixed speed. Null where they were not found in time.
    pub(crate) basis: Option<Basis>,
}

impl Estimator {
    pub(crate) fn new(clickhouse: ClickHouse, config: EstimateConfig) -> Self {
        Self {
            clickhouse,
            room: Semaphore::new(config.max_concurrent.into()),
            limit: Duration::from_millis(config.count_timeout_ms),
            sample_bytes_per_s: config.sample_bytes_per_s,
        }
    }

    /// Lets one more estimate be made, until the permit is dropped.
    ///
    /// # Errors
    ///
    /// [`TooManyEstimates`].
    pub(crate) fn enter(&self) -> Result<SemaphorePermit<'_>, TooManyEstimates> {
        self.room.try_acquire().map_err(|_| TooManyEstimates)
    }

    /// Estimates the export of a query, by what exports like it took.
    ///
    /// # Errors
    ///
    /// When ClickHouse cannot be reached or refuses the query.
    pub(crate) async fn estimate(
        &self,
        query: &Query,
        output: &Output,
        costs: &[Cost],
    ) -> Result<Estimate, SourceError> {
        let count = self.clickhouse.count(query, self.limit);
        let (count, file) = if costs.is_empty() {
            let sample = self.clickhouse.sample(query, self.limit);
            let (count, sample) = tokio::try_join!(count, sample)?;
            let of_rows =
                |rows| FileEstimate::of_sample(sample, output, rows, self.sample_bytes_per_s);
            (count, count.and_then(|count| of_rows(count.rows)))
        } else {
            let count = count.await?;
            let of_rows = |rows| FileEstimate::of_exports(costs, rows);
            (count, count.and_then(|count| of_rows(count.rows)))
        };
        Ok(Estimate {
            rows: count.map(|count| count.rows),
            exact: count.is_some_and(|count| count.is_exact),
            size_bytes: file.map(|file| file.size_bytes),
            seconds: file.map(|file| file.elapsed_ms.div_ceil(1_000)),
            basis: file.map(|file| file.basis),
        })
    }
}
