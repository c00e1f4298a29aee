//! The plan of an export: how many rows there will be, and slices of about equal size.

use std::num::NonZeroU64;

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

/// Rows of a table that stand one behind the other and are counted together: as many as ClickHouse reads at
/// least, unless they are wide.
pub(crate) const BLOCK_ROWS: u64 = 8_192;

/// Of how many blocks at least one is counted.
const MOST_BLOCKS: u64 = 16;

/// How many blocks that were counted are not counted again in finer buckets.
const FEW_BLOCKS: u64 = 8;

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
            None => self.buckets(query, target, None).await?,
        };
        Ok(Plan {
            rows_estimated: buckets.iter().map(|bucket| bucket.rows).sum(),
            slices: slices(query.range(), &buckets, target),
        })
    }

    /// Counts the rows of some blocks, unless all can be counted or it would say little.
    async fn count_some(
        &self,
        query: &Query,
        target: u64,
        among: u64,
    ) -> Result<Option<Vec<Bucket>>, SourceError> {
        if !query.dataset.tables.iter().all(|table| table.has_parts) {
            return Ok(None);
        }
        let patience = self.first_timeout();
        let looked_at = self.rows_to_look_at(query, query.range(), patience).await?;
        let one_in = looked_at.div_ceil(among.max(1)).min(MOST_BLOCKS);
        let Some(one_in) = NonZeroU64::new(one_in).filter(|one_in| one_in.get() > 1) else {
            return Ok(None);
        };
        let buckets = match self.buckets(query, target, Some(one_in)).await {
            Ok(buckets) => buckets,
            // Before the first look it is not known whether there are blocks.
            Err(SourceError::Engine(exception)) if exception.is_permanent() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let found: u64 = buckets.iter().map(|bucket| bucket.rows).sum();
        // A few rows may stand together in a few blocks, of which too many or none were met.
        let says_little = found / one_in < (among / 4).max(1);
        let spread = buckets.into_iter().flat_map(|bucket| bucket.spread(target));
        Ok((!says_little).then(|| spread.collect()))
    }

    /// Counts all rows, or those of one in so many blocks, in buckets of at most `target` where that can be
    /// told.
    async fn buckets(
        &self,
        query: &Query,
        target: u64,
        one_in: Option<NonZeroU64>,
    ) -> Result<Vec<Bucket>, SourceError> {
        // Fewer blocks would say little about when their rows are.
        let few = one_in.map_or(0, |one_in| one_in.get() * BLOCK_ROWS * FEW_BLOCKS);
        let mut buckets = self.histogram(query, query.range(), one_in).await?;
        for _ in 0..REFINEMENTS {
            let mut finer = Vec::with_capacity(buckets.len());
            for bucket in buckets {
                if bucket.rows > target.max(few) && microseconds(bucket.range) > 1 {
                    finer.extend(self.histogram(query, bucket.range, one_in).await?);
                } else {
                    finer.push(bucket);
                }
            }
            buckets = finer;
        }
        Ok(buckets)
    }

    /// Counts the rows of a range in up to [`BUCKETS`] buckets; those without rows are left out. Where one in
    /// so many blocks is counted, each of its rows stands for as many.
    async fn histogram(
        &self,
        query: &Query,
        range: TimeRange,
        one_in: Option<NonZeroU64>,
    ) -> Result<Vec<Bucket>, SourceError> {
        let width_us = microseconds(range).div_ceil(BUCKETS);
        let statement = sql::histogram(query, range, width_us, one_in);
        let counts = self.numbers(statement, self.first_timeout(), &[]).await?;
        let buckets = counts.into_iter().filter_map(|[number, rows]| {
            let start = at(range.start(), number * width_us);
            let end = at(range.start(), (number + 1) * width_us).min(range.end());
            let rows = rows * one_in.map_or(1, NonZeroU64::get);
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
