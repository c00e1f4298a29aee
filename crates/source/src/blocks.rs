//! Record batches as they come, cut and joined to blocks of the right size.
//!
//! Where a block ends depends on the rows alone and not on the batches they came in, so reading
//! the same rows again gives the same blocks.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

/// How large a block may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Rows.
    pub rows: usize,
    /// Bytes in memory, roughly; a block of one row may have more.
    pub bytes: usize,
}

/// Arrow counts the bytes of an array of texts in 31 bits.
const MOST_BYTES: usize = 1 << 30;

/// Collects the rows of a block.
pub(crate) struct Cutter {
    limits: BlockLimits,
    schema: SchemaRef,
    slices: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Cutter {
    pub(crate) fn new(limits: BlockLimits, schema: SchemaRef) -> Self {
        Self {
            limits: BlockLimits {
                rows: limits.rows.max(1),
                bytes: limits.bytes.min(MOST_BYTES),
            },
            schema,
            slices: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes the rows of a batch and returns the blocks that they complete.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut blocks = Vec::new();
        let mut start = 0;
        for (row, bytes) in row_bytes(batch).into_iter().enumerate() {
            let too_many_bytes = self.rows > 0 && self.bytes + bytes > self.limits.bytes;
            if self.rows == self.limits.rows || too_many_bytes {
                self.slices.push(batch.slice(start, row - start));
                blocks.extend(self.take()?);
                start = row;
            }
            self.rows += 1;
            self.bytes += bytes;
        }
        self.slices
            .push(batch.slice(start, batch.num_rows() - start));
        Ok(blocks)
    }

    /// Returns the last block, if there are rows for one.
    pub(crate) fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let slices = std::mem::take(&mut self.slices);
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        match &slices[..] {
            _ if rows == 0 => Ok(None),
            [only] => Ok(Some(only.clone())),
            slices => concat_batches(&self.schema, slices).map(Some),
        }
    }
}

/// Returns about how many bytes each row of a batch has.
fn row_bytes(batch: &RecordBatch) -> Vec<usize> {
    let mut sizes = vec![0; batch.num_rows()];
    for column in batch.columns() {
        add_bytes(column, &mut sizes);
    }
    sizes
}

/// Adds to each element of `sizes` the bytes of that element of the array.
fn add_bytes(array: &ArrayRef, sizes: &mut [usize]) {
    match array.data_type() {
        DataType::Utf8 => add_lengths(array.as_string::<i32>().offsets(), 4, sizes),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            add_children(list.offsets(), list.values(), sizes);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            add_children(map.offsets(), &entries, sizes);
        }
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                add_bytes(column, sizes);
            }
        }
        other => {
            let width = other.primitive_width().unwrap_or(1);
            for size in sizes {
                *size += width;
            }
        }
    }
}

fn add_lengths(offsets: &[i32], overhead: usize, sizes: &mut [usize]) {
    for (size, ends) in sizes.iter_mut().zip(offsets.windows(2)) {
        *size += position(ends[1]) - position(ends[0]) + overhead;
    }
}

fn add_children(offsets: &[i32], children: &ArrayRef, sizes: &mut [usize]) {
    let mut child_sizes = vec![0; children.len()];
    add_bytes(children, &mut child_sizes);
    for (size, ends) in sizes.iter_mut().zip(offsets.windows(2)) {
        let range = position(ends[0])..position(ends[1]);
        *size += child_sizes[range].iter().sum::<usize>() + 4;
    }
}

fn position(offset: i32) -> usize {
    usize::try_from(offset).expect("arrow checks that offsets are not negative")
}

#[cfg(test)]
mod tests;
