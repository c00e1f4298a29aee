//! Which rows of some batches are encoded, and in which order.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{concat, interleave};
use arrow::error::ArrowError;

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

    /// Visits the rows in their order, each with its batch and its place in that.
    pub(crate) fn try_each<E>(
        self,
        mut visit: impl FnMut(usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.order {
            Some(order) => order
                .iter()
                .try_for_each(|(batch, row)| visit(*batch, *row)),
            None => self
                .batches
                .iter()
                .enumerate()
                .try_for_each(|(number, batch)| {
                    (0..batch.num_rows()).try_for_each(|row| visit(number, row))
                }),
        }
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
