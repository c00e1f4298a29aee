//! Which rows of some batches are encoded, and in which order.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{concat, interleave};
use arrow::error::ArrowError;

/// How many rows are visited at once, at most.
pub(crate) const AT_ONCE: usize = 32;

/// Rows of batches.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    batches: &'a [RecordBatch],
    /// Each by its batch and its place in that; all of them as they stand without it.
    order: Option<&'a [(usize, usize)]>,
}

impl<'a> Rows<'a> {
    /// All rows, one batch after the other.
    pub(crate) fn all(batches: &'a [RecordBatch]) -> Self {
        Self {
            batches,
            order: None,
        }
    }

    /// Some rows, if they are there.
    pub(crate) fn chosen(batches: &'a [RecordBatch], order: &'a [(usize, usize)]) -> Option<Self> {
        let is_there = |&(batch, row): &(usize, usize)| {
            batches
                .get(batch)
                .is_some_and(|batch| row < batch.num_rows())
        };
        order.iter().all(is_there).then_some(Self {
            batches,
            order: Some(order),
        })
    }

    pub(crate) fn batches(self) -> &'a [RecordBatch] {
        self.batches
    }

    pub(crate) fn are_all(self) -> bool {
        self.order.is_none()
    }

    pub(crate) fn count(self) -> usize {
        match self.order {
            Some(order) => order.len(),
            None => self.batches.iter().map(RecordBatch::num_rows).sum(),
        }
    }

    /// Visits the rows in their order, at once what stands behind each other in a batch. After every
    /// [`AT_ONCE`] rows a visit ends, wherever the batches do.
    pub(crate) fn try_each<E>(
        self,
        mut visit: impl FnMut(usize, Range<usize>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut seen = 0;
        let mut visit = |batch, first, rows| {
            seen += rows;
            visit(batch, first..first + rows)?;
            Ok(AT_ONCE - seen % AT_ONCE)
        };
        let mut most = AT_ONCE;
        let Some(mut rest) = self.order else {
            for (number, batch) in self.batches.iter().enumerate() {
                let mut first = 0;
                while first < batch.num_rows() {
                    let rows = most.min(batch.num_rows() - first);
                    most = visit(number, first, rows)?;
                    first += rows;
                }
            }
            return Ok(());
        };
        while let Some(&(batch, first)) = rest.first() {
            let places = rest.iter().take(most).zip(first..);
            let rows = places.take_while(|(place, row)| **place == (batch, *row));
            let rows = rows.count();
            most = visit(batch, first, rows)?;
            rest = &rest[rows..];
        }
        Ok(())
    }

    /// Copies the values of the rows out of a column, which is there once for each batch.
    pub(crate) fn of(self, column: &[ArrayRef]) -> Result<ArrayRef, ArrowError> {
        let column: Vec<&dyn Array> = column.iter().map(AsRef::as_ref).collect();
        match self.order {
            Some(order) => interleave(&column, order),
            None => concat(&column),
        }
    }
}
