//! Record batches as they come, cut to blocks of the right size.
//!
//! Where a block ends depends on the rows alone and not on the batches they came in, so reading
//! the same rows again gives the same blocks.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{ArrowNativeType, DataType, Int32Type};

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
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// How many batches there are at the end that are small.
    small: usize,
}

/// Rows of a batch that is not small.
const FEW_ROWS: usize = 256;

/// How many small batches become one.
const MANY_BATCHES: usize = 64;

impl Cutter {
    pub(crate) fn new(limits: BlockLimits) -> Self {
        Self {
            limits: BlockLimits {
                rows: limits.rows.max(1),
                bytes: limits.bytes.min(MOST_BYTES),
            },
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
            small: 0,
        }
    }

    /// Takes the rows of a batch and returns the blocks that they complete.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Vec<Vec<RecordBatch>> {
        let rows = batch.num_rows();
        let bytes = bytes_of_all(batch);
        if self.rows + rows <= self.limits.rows && self.bytes + bytes <= self.limits.bytes {
            self.add(batch.clone(), bytes);
            return Vec::new();
        }
        let mut blocks = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (row, row_bytes) in bytes_of_each(batch).into_iter().enumerate() {
            let rows = self.rows + row - start;
            let too_many_bytes = rows > 0 && self.bytes + bytes + row_bytes > self.limits.bytes;
            if rows == self.limits.rows || too_many_bytes {
                self.add(batch.slice(start, row - start), bytes);
                blocks.extend(self.take());
                (start, bytes) = (row, 0);
            }
            bytes += row_bytes;
        }
        self.add(batch.slice(start, rows - start), bytes);
        blocks
    }

    fn add(&mut self, batch: RecordBatch, bytes: usize) {
        self.rows += batch.num_rows();
        self.bytes += bytes;
        if batch.num_rows() > 0 {
            self.small = if batch.num_rows() < FEW_ROWS {
                self.small + 1
            } else {
                0
            };
            self.batches.push(batch);
        }
        if self.small == MANY_BATCHES {
            self.join_small();
        }
    }

    /// Joins the last batches, all of them small: each takes memory besides that of its rows.
    fn join_small(&mut self) {
        let start = self.batches.len() - std::mem::take(&mut self.small);
        let small = &self.batches[start..];
        // What cannot be joined can stay as it is.
        if let Ok(joined) = concat_batches(&small[0].schema(), small) {
            self.batches.truncate(start);
            self.batches.push(joined);
        }
    }

    /// Returns the last block, if there are rows for one.
    pub(crate) fn take(&mut self) -> Option<Vec<RecordBatch>> {
        (self.rows, self.bytes, self.small) = (0, 0, 0);
        let batches = std::mem::take(&mut self.batches);
        (!batches.is_empty()).then_some(batches)
    }
}

/// Returns about how many bytes the rows of a batch have.
fn bytes_of_all(batch: &RecordBatch) -> usize {
    bytes_between(batch, &[0, batch.num_rows()]).iter().sum()
}

/// Returns about how many bytes each row of a batch has.
fn bytes_of_each(batch: &RecordBatch) -> Vec<usize> {
    let ends: Vec<_> = (0..=batch.num_rows()).collect();
    bytes_between(batch, &ends)
}

/// Returns about how many bytes there are from each of some rows to the next.
fn bytes_between(batch: &RecordBatch, ends: &[usize]) -> Vec<usize> {
    let mut sizes = vec![0; ends.len() - 1];
    for column in batch.columns() {
        add_bytes(column, ends, &mut sizes);
    }
    sizes
}

/// What a text or list has besides what is in it.
const OFFSET_BYTES: usize = 4;

/// Adds the bytes of the elements from each of `ends` to the next. A text has the same whether it is
/// in a dictionary or not, since where a block ends must not depend on it.
fn add_bytes(array: &ArrayRef, ends: &[usize], sizes: &mut [usize]) {
    let each = sizes.iter_mut().zip(ends.windows(2));
    match array.data_type() {
        DataType::Utf8 => {
            let offsets = array.as_string::<i32>().offsets();
            let length = |from: usize, to: usize| (offsets[to] - offsets[from]).as_usize();
            for (size, ends) in each {
                *size += (ends[1] - ends[0]) * OFFSET_BYTES;
                *size += match array.nulls().filter(|nulls| nulls.null_count() > 0) {
                    None => length(ends[0], ends[1]),
                    // There may be anything in place of a NULL, and anything else the next time.
                    Some(nulls) => (ends[0]..ends[1])
                        .filter(|row| nulls.is_valid(*row))
                        .map(|row| length(row, row + 1))
                        .sum(),
                };
            }
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let offsets = dictionary.values().as_string::<i32>().offsets();
            for (size, ends) in each {
                for key in &dictionary.keys().slice(ends[0], ends[1] - ends[0]) {
                    let length = |key: usize| (offsets[key + 1] - offsets[key]).as_usize();
                    *size += key.map_or(0, |key| length(key.as_usize())) + OFFSET_BYTES;
                }
            }
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            add_items(list.offsets(), &[list.values().clone()], ends, sizes);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            add_items(map.offsets(), map.entries().columns(), ends, sizes);
        }
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                add_bytes(column, ends, sizes);
            }
        }
        other => {
            let width = other.primitive_width().unwrap_or(1);
            for (size, ends) in each {
                *size += (ends[1] - ends[0]) * width;
            }
        }
    }
}

fn add_items(offsets: &[i32], items: &[ArrayRef], ends: &[usize], sizes: &mut [usize]) {
    for (size, ends) in sizes.iter_mut().zip(ends.windows(2)) {
        *size += (ends[1] - ends[0]) * OFFSET_BYTES;
    }
    let ends: Vec<_> = ends.iter().map(|end| offsets[*end].as_usize()).collect();
    for items in items {
        add_bytes(items, &ends, sizes);
    }
}

#[cfg(test)]
mod tests;
