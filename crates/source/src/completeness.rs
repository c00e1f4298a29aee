//! Whether a slice has all of its rows.
//!
//! Nothing in an answer says how many rows it should have had, and a profile can have settings that nobody
//! knows of yet. So the rows of a slice are counted before it is read, where that costs little.

use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::TimeRange;

use crate::column_type::{Kind, Scalar};
use crate::error::SourceError;
use crate::expression::is_name;
use crate::predicate::Predicate;
use crate::query::Query;
use crate::read::Shared;

/// Where counting costs much, one in so many slices is counted, the first of an attempt among them: what
/// makes one short makes others short, too.
const ONE_IN: usize = 16;

/// How long counting a slice may take; after that it is read uncounted.
const LIMIT: Duration = Duration::from_secs(30);

/// Rows that say how large the next ones are.
const FEW_ROWS: usize = 1_000;

impl Shared {
    /// Counts the rows of a slice that is to be read, if its turn has come.
    pub(crate) async fn count_before(&self, range: TimeRange) -> Result<Option<u64>, SourceError> {
        let number = self.slices.fetch_add(1, Ordering::Relaxed);
        let is_cheap =
            self.query.is_counted_cheaply() && !self.counts_slowly.load(Ordering::Relaxed);
        if !is_cheap && !number.is_multiple_of(ONE_IN) {
            return Ok(None);
        }
        let counted = self.clickhouse.count_of(&self.query, range, LIMIT).await?;
        if counted.is_none() {
            self.counts_slowly.store(true, Ordering::Relaxed);
        }
        Ok(counted)
    }

    /// Compares the rows that were read with those that were counted before. More have come since; fewer may
    /// be there now, since tables forget and merge.
    ///
    /// # Errors
    ///
    /// [`SourceError::Short`].
    pub(crate) async fn check_rows(
        &self,
        range: TimeRange,
        counted: Option<u64>,
        read: u64,
    ) -> Result<(), SourceError> {
        let Some(counted) = counted.filter(|counted| *counted > read) else {
            return Ok(());
        };
        let now = self.clickhouse.count_of(&self.query, range, LIMIT).await?;
        let counted = now.map_or(counted, |now| now.min(counted));
        if counted > read {
            return Err(SourceError::Short { read, counted });
        }
        Ok(())
    }

    /// Returns how many bytes a row has, if any were read or measured.
    pub(crate) fn row_bytes(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.row_bytes.load(Ordering::Relaxed))
    }

    /// Notes how many bytes some rows have in memory. Few rows say nothing of others, unless they are large.
    pub(crate) fn measured(&self, rows: usize, bytes: usize) {
        let says_much = rows >= FEW_ROWS || bytes > self.limits.sort_bytes;
        let row_bytes = bytes.checked_div(rows).filter(|_| says_much);
        let row_bytes = row_bytes.map_or(0, |row_bytes| row_bytes.max(1) as u64);
        self.row_bytes.store(row_bytes, Ordering::Relaxed);
    }
}

impl Query {
    /// Tells whether counting reads little of what reading does: no maps and no texts but the tenant, which
    /// is the same in all rows of a block, or nearly so.
    fn is_counted_cheaply(&self) -> bool {
        let mut tables = self.dataset.tables.iter();
        tables.all(|table| table.has_parts && is_name(&table.tenant))
            && self.narrowing.iter().all(|it| self.is_cheap(it))
            && self.is_cheap(&self.predicate)
    }

    fn is_cheap(&self, predicate: &Predicate) -> bool {
        match predicate {
            Predicate::All(each) | Predicate::Any(each) => {
                each.iter().all(|each| self.is_cheap(each))
            }
            Predicate::Not(inner) => self.is_cheap(inner),
            Predicate::Test(test) => matches!(
                self.dataset.columns[test.column].value_type.kind,
                Kind::Scalar(scalar) if scalar != Scalar::String
            ),
        }
    }
}
