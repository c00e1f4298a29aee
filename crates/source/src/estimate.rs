//! What an export would read, in a short time and before anything is read.

use std::time::Duration;

use domain::TimeRange;

use crate::client::ClickHouse;
use crate::error::SourceError;
use crate::query::Query;
use crate::sql;

/// Rows that say how large the others are.
const SAMPLE_ROWS: u64 = 1_000;

/// How much longer than ClickHouse itself we wait for a query to end at its time limit.
const GRACE: Duration = Duration::from_millis(500);

/// How many rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCount {
    /// The number.
    pub rows: u64,
    /// Whether there are so many, and not at most so many.
    pub is_exact: bool,
}

/// Some rows that were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub rows: u64,
    /// The bytes that they take in ClickHouse's memory.
    pub bytes: u64,
}

impl ClickHouse {
    /// Counts the rows of a query. When that takes longer than `limit`, or more than ClickHouse allows,
    /// the answer is how many rows it would look at, or `None` where it cannot tell.
    ///
    /// # Errors
    ///
    /// When ClickHouse cannot be reached or refuses the query.
    pub async fn count(
        &self,
        query: &Query,
        limit: Duration,
    ) -> Result<Option<RowCount>, SourceError> {
        if let Some(rows) = self.count_of(query, query.range(), limit).await? {
            return Ok(Some(RowCount {
                rows,
                is_exact: true,
            }));
        }
        let rows = self.rows_to_look_at(query, query.range(), limit).await?;
        // There are some, or they would have been counted in time.
        Ok((rows > 0).then_some(RowCount {
            rows,
            is_exact: false,
        }))
    }

    /// Counts the rows of a range, unless that takes longer than `limit` or more than ClickHouse allows.
    pub(crate) async fn count_of(
        &self,
        query: &Query,
        range: TimeRange,
        limit: Duration,
    ) -> Result<Option<u64>, SourceError> {
        let statement = sql::count(query, range);
        let settings = [max_execution_time(limit)];
        match self.numbers(statement, limit + GRACE, &settings).await {
            Ok(counts) => match counts[..] {
                [[rows]] => Ok(Some(rows)),
                _ => Err(SourceError::Truncated),
            },
            Err(error) if is_limit(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Measures some rows of a query, whichever are found first; none when that takes longer than `limit`.
    ///
    /// # Errors
    ///
    /// When ClickHouse cannot be reached or refuses the query.
    pub async fn sample(&self, query: &Query, limit: Duration) -> Result<Sample, SourceError> {
        self.sample_of(query, query.range(), limit).await
    }

    /// The same of a range.
    pub(crate) async fn sample_of(
        &self,
        query: &Query,
        range: TimeRange,
        limit: Duration,
    ) -> Result<Sample, SourceError> {
        let statement = sql::sample(query, range, SAMPLE_ROWS);
        let settings = [max_execution_time(limit)];
        let measured = self.numbers(statement, limit + GRACE, &settings).await;
        let measured = match measured {
            Err(error) if is_limit(&error) => Vec::new(),
            measured => measured?,
        };
        Ok(Sample {
            rows: measured.iter().map(|[rows, _]| rows).sum(),
            bytes: measured.iter().map(|[_, bytes]| bytes).sum(),
        })
    }

    /// Returns how many rows ClickHouse would look at for a range; 0 where it does not say.
    pub(crate) async fn rows_to_look_at(
        &self,
        query: &Query,
        range: TimeRange,
        patience: Duration,
    ) -> Result<u64, SourceError> {
        if !query.dataset.tables.iter().all(|table| table.has_estimates) {
            return Ok(0);
        }
        let statement = sql::estimate(query, range);
        match self.numbers(statement, patience, &[]).await {
            Ok(tables) => Ok(tables.iter().map(|[rows, _]| rows).sum()),
            // Whoever may read a table may still not be told of it.
            Err(SourceError::Engine(_)) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

fn max_execution_time(limit: Duration) -> (&'static str, String) {
    ("max_execution_time", limit.as_secs_f64().to_string())
}

/// Says whether a query was too much work.
fn is_limit(error: &SourceError) -> bool {
    match error {
        SourceError::Engine(exception) => exception.is_limit(),
        SourceError::Stalled(_) => true,
        _ => false,
    }
}
