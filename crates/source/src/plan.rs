//! The plan of an export: how many rows there will be, and slices of about equal size.

use chrono::{DateTime, TimeDelta, Utc};
use domain::TimeRange;

use crate::client::ClickHouse;
use crate::error::SourceError;
use crate::query::Query;
use crate::sql;

/// Buckets of one histogram.
const BUCKETS: u64 = 2_000;

/// How often a bucket that is too large is counted again in finer ones.
const REFINEMENTS: usize = 3;

/// What a plan should look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Rows of a slice. A slice has at most about twice as many, unless that many rows are of
    /// nearly the same time.
    pub target_slice_rows: u64,
}

/// How an export will be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Rows that there were when the plan was made.
    pub rows_estimated: u64,
    /// Ranges that follow each other in time and together are the window of the export. There is
    /// one even where there are no rows.
    pub slices: Vec<TimeRange>,
}

/// Rows that were counted in a range of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    range: TimeRange,
    rows: u64,
}

impl ClickHouse {
    /// Counts the rows of a query over time and cuts its window into slices.
    ///
    /// # Errors
    ///
    /// When the rows cannot be counted.
    pub async fn plan(&self, query: &Query, options: &PlanOptions) -> Result<Plan, SourceError> {
        let target = options.target_slice_rows.max(1);
        let mut buckets = self.histogram(query, query.range()).await?;
        for _ in 0..REFINEMENTS {
            let mut finer = Vec::with_capacity(buckets.len());
            for bucket in buckets {
                if bucket.rows > target && microseconds(bucket.range) > 1 {
                    finer.extend(self.histogram(query, bucket.range).await?);
                } else {
                    finer.push(bucket);
                }
            }
            buckets = finer;
        }
        Ok(Plan {
            rows_estimated: buckets.iter().map(|bucket| bucket.rows).sum(),
            slices: slices(query.range(), &buckets, target),
        })
    }

    /// Counts the rows of a range in up to [`BUCKETS`] buckets; those without rows are left out.
    async fn histogram(&self, query: &Query, range: TimeRange) -> Result<Vec<Bucket>, SourceError> {
        let width_us = microseconds(range).div_ceil(BUCKETS);
        let statement = sql::histogram(query, range, width_us);
        let counts: Vec<(u64, u64)> = self.fetch_all(statement).await?;
        let buckets = counts.into_iter().filter_map(|(number, rows)| {
            let start = at(range.start(), number * width_us);
            let end = at(range.start(), (number + 1) * width_us).min(range.end());
            TimeRange::new(start, end).map(|range| Bucket { range, rows })
        });
        Ok(buckets.collect())
    }
}

/// Cuts a window where a bucket begins that would make the slice before it too large.
fn slices(window: TimeRange, buckets: &[Bucket], target: u64) -> Vec<TimeRange> {
    let mut slices = Vec::new();
    let (mut start, mut rows) = (window.start(), 0);
    for bucket in buckets {
        if rows > 0 && rows + bucket.rows > target {
            slices.extend(TimeRange::new(start, bucket.range.start()));
            (start, rows) = (bucket.range.start(), 0);
        }
        rows += bucket.rows;
    }
    slices.extend(TimeRange::new(start, window.end()));
    slices
}

/// Returns the length of a range, rounded up. Slices begin at whole microseconds after the start
/// of the window, which is as fine as Postgres keeps them.
pub(crate) fn microseconds(range: TimeRange) -> u64 {
    let rounded = range.length() + TimeDelta::nanoseconds(999);
    rounded
        .num_microseconds()
        .and_then(|length| u64::try_from(length).ok())
        .unwrap_or(u64::MAX)
}

pub(crate) fn at(start: DateTime<Utc>, offset_us: u64) -> DateTime<Utc> {
    i64::try_from(offset_us)
        .ok()
        .and_then(|offset| start.checked_add_signed(TimeDelta::microseconds(offset)))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests;
