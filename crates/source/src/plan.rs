//! The plan of an export: how many rows there will be, and slices of about equal size.

use std::num::NonZeroU64;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::TimeRange;

use crate::client::ClickHouse;
use crate::error::SourceError;
use crate::query::Query;
use crate::sql;

/// The most buckets of one histogram.
const BUCKETS: u64 = 2_000;

/// How often a bucket that is too large is counted again in finer ones.
const REFINEMENTS: usize = 3;

/// Rows of a table that stand one behind the other and are counted together, as many as ClickHouse reads
/// at least.
pub(crate) const BLOCK_ROWS: u64 = 8_192;

/// Of how many blocks at least one is counted.
const MOST_BLOCKS: u64 = 16;

/// How many blocks are counted for each bucket, as a rule: fewer would say little about it.
const BLOCKS_OF_A_BUCKET: u64 = 8;

/// How long ClickHouse may take to tell how much it would look at.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a plan should look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Rows of a slice. A slice has at most about twice as many, unless that many rows are of
    /// nearly the same time.
    pub target_slice_rows: u64,
    /// Among how many rows those of the query are all counted. Among more, only those of some blocks are, at
    /// least one in 16, and the others are taken to be like them. Without it all are counted.
    pub counted_among: Option<u64>,
}

/// How an export will be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// About how many rows there were when the plan was made.
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
        let some = match options.counted_among {
            Some(among) => self.count_some(query, target, among).await?,
            None => None,
        };
        let buckets = match some {
            Some(buckets) => buckets,
            None => self.count_all(query, target).await?,
        };
        Ok(Plan {
            rows_estimated: buckets.iter().map(|bucket| bucket.rows).sum(),
            slices: slices(query.range(), &buckets, target),
        })
    }

    /// Counts all rows, in buckets of at most `target` where time can tell as many apart.
    async fn count_all(&self, query: &Query, target: u64) -> Result<Vec<Bucket>, SourceError> {
        let mut buckets = self.histogram(query, query.range(), BUCKETS, None).await?;
        for _ in 0..REFINEMENTS {
            let mut finer = Vec::with_capacity(buckets.len());
            for bucket in buckets {
                if bucket.rows > target && microseconds(bucket.range) > 1 {
                    finer.extend(self.histogram(query, bucket.range, BUCKETS, None).await?);
                } else {
                    finer.push(bucket);
                }
            }
            buckets = finer;
        }
        Ok(buckets)
    }

    /// Counts the rows of some blocks, unless all can be counted or it would say little.
    async fn count_some(
        &self,
        query: &Query,
        target: u64,
        among: u64,
    ) -> Result<Option<Vec<Bucket>>, SourceError> {
        let looked_at = self.rows_to_look_at(query, query.range(), PATIENCE).await?;
        let one_in = looked_at.div_ceil(among.max(1)).clamp(1, MOST_BLOCKS);
        let Some(blocks) = NonZeroU64::new(one_in).filter(|one_in| one_in.get() > 1) else {
            return Ok(None);
        };
        let buckets = looked_at / (one_in * BLOCK_ROWS * BLOCKS_OF_A_BUCKET);
        let buckets = buckets.clamp(1, BUCKETS);
        let counted = match self
            .histogram(query, query.range(), buckets, Some(blocks))
            .await
        {
            Ok(counted) => counted,
            // What is no table of one server has no blocks.
            Err(SourceError::Engine(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let found: u64 = counted.iter().map(|bucket| bucket.rows).sum();
        // A few rows may stand together in a few blocks, of which too many or none were met.
        if found < among / MOST_BLOCKS {
            return Ok(None);
        }
        let all = counted.into_iter().map(|bucket| Bucket {
            rows: bucket.rows * one_in,
            ..bucket
        });
        Ok(Some(all.flat_map(|bucket| bucket.spread(target)).collect()))
    }

    /// Counts the rows of a range, or of one in so many blocks, in up to so many buckets; those without rows
    /// are left out.
    async fn histogram(
        &self,
        query: &Query,
        range: TimeRange,
        buckets: u64,
        one_in: Option<NonZeroU64>,
    ) -> Result<Vec<Bucket>, SourceError> {
        let width_us = microseconds(range).div_ceil(buckets);
        let statement = sql::histogram(query, range, width_us, one_in);
        let counts: Vec<(u64, u64)> = self.fetch_all(statement).await?;
        let buckets = counts.into_iter().filter_map(|(number, rows)| {
            let start = at(range.start(), number * width_us);
            let end = at(range.start(), (number + 1) * width_us).min(range.end());
            TimeRange::new(start, end).map(|range| Bucket { range, rows })
        });
        Ok(buckets.collect())
    }
}

impl Bucket {
    /// Cuts it into some of at most so many rows, as if there were as many at any of its times.
    fn spread(self, most: u64) -> impl Iterator<Item = Self> {
        let length = microseconds(self.range);
        let pieces = self.rows.div_ceil(most).clamp(1, length.max(1));
        (0..pieces).filter_map(move |piece| {
            let share = |whole: u64, pieces_before: u64| {
                let part = u128::from(whole) * u128::from(pieces_before) / u128::from(pieces);
                u64::try_from(part).unwrap_or(whole)
            };
            let start = at(self.range.start(), share(length, piece));
            let end = at(self.range.start(), share(length, piece + 1)).min(self.range.end());
            TimeRange::new(start, end).map(|range| Self {
                range,
                rows: share(self.rows, piece + 1) - share(self.rows, piece),
            })
        })
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
