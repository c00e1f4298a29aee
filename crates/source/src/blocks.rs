//! Rows as they come, cut to blocks of the right size.
//!
//! Where a block ends depends on the rows alone and not on the batches they came in, so reading
//! the same rows again gives the same blocks.

use std::ops::Deref;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{ArrowNativeType, DataType, Int32Type};
use arrow::error::ArrowError;

use crate::sort::{Room, Sorted, gather};

/// How large a block may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Rows.
    pub rows: usize,
    /// Bytes in memory, roughly; a block of one row may have more.
    pub bytes: usize,
}

impl BlockLimits {
    /// Says whether a row more would be too much for a block that has some rows.
    fn are_reached(self, rows: usize, bytes: usize, row_bytes: usize) -> bool {
        rows >= self.rows || rows > 0 && bytes + row_bytes > self.bytes
    }
}

/// Rows that follow each other in the file.
///
/// The columns of its batches have the names of the query's schema and values of its types; a text
/// may come in a dictionary, which is the batch's own.
#[derive(Clone, Debug)]
pub struct Block {
    /// The batches that have the rows.
    pub batches: Arc<HeldBatches>,
    /// Which of the rows, and in which order, each by its batch and its place in that. Without it,
    /// all of them as they stand.
    pub order: Option<Vec<(usize, usize)>>,
}

/// Batches, and the room that was taken for them.
#[derive(Debug)]
pub struct HeldBatches {
    batches: Vec<RecordBatch>,
    _room: Option<Room>,
}

impl From<Vec<RecordBatch>> for HeldBatches {
    fn from(batches: Vec<RecordBatch>) -> Self {
        Self {
            batches,
            _room: None,
        }
    }
}

impl Deref for HeldBatches {
    type Target = [RecordBatch];

    fn deref(&self) -> &[RecordBatch] {
        &self.batches
    }
}

impl Block {
    /// Makes a block of all rows of some batches, as they stand.
    pub fn of(batches: Vec<RecordBatch>) -> Self {
        Self {
            batches: Arc::new(batches.into()),
            order: None,
        }
    }

    /// Returns how many rows there are.
    pub fn rows(&self) -> usize {
        match &self.order {
            Some(order) => order.len(),
            None => self.batches.iter().map(RecordBatch::num_rows).sum(),
        }
    }

    /// Takes away all rows behind the first `rows`, and returns them if there are any.
    pub fn split_off(&mut self, rows: usize) -> Option<Self> {
        if rows >= self.rows() {
            return None;
        }
        if let Some(order) = &mut self.order {
            return Some(Self {
                batches: Arc::clone(&self.batches),
                order: Some(order.split_off(rows)),
            });
        }
        let (mut kept, mut rest, mut left) = (Vec::new(), Vec::new(), rows);
        for batch in self.batches.iter() {
            let (all, here) = (batch.num_rows(), left.min(batch.num_rows()));
            left -= here;
            if here > 0 {
                kept.push(batch.slice(0, here));
            }
            if here < all {
                rest.push(batch.slice(here, all - here));
            }
        }
        // No room was taken for them: those for which it was stand in an order.
        *self = Self::of(kept);
        Some(Self::of(rest))
    }
}

/// Arrow counts the bytes of an array of texts in 31 bits.
pub(crate) const MOST_BYTES: usize = 1 << 30;

/// Collects the rows of a block.
pub(crate) struct Cutter {
    limits: BlockLimits,
    batches: Batches,
    rows: usize,
    bytes: usize,
}

impl Cutter {
    pub(crate) fn new(limits: BlockLimits) -> Self {
        Self {
            limits: BlockLimits {
                rows: limits.rows.max(1),
                bytes: limits.bytes.min(MOST_BYTES),
            },
            batches: Batches::default(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes the rows of a batch and returns the blocks that they complete.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Vec<Block> {
        let rows = batch.num_rows();
        let bytes = bytes_of_all(batch);
        if self.rows + rows <= self.limits.rows && self.bytes + bytes <= self.limits.bytes {
            self.add(batch.clone(), bytes);
            return Vec::new();
        }
        let mut blocks = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (row, row_bytes) in bytes_of_each(batch).into_iter().enumerate() {
            let (rows, all_bytes) = (self.rows + row - start, self.bytes + bytes);
            if self.limits.are_reached(rows, all_bytes, row_bytes) {
                self.add(batch.slice(start, row - start), bytes);
                blocks.extend(self.take());
                (start, bytes) = (row, 0);
            }
            bytes += row_bytes;
        }
        self.add(batch.slice(start, rows - start), bytes);
        blocks
    }

    /// Takes rows that stand in an order of their own and returns the blocks that they complete. The
    /// rows behind those are copied to wait for the next, unless these are the last.
    ///
    /// # Errors
    ///
    /// When the rows that wait cannot be copied.
    pub(crate) fn push_sorted(
        &mut self,
        sorted: Sorted,
        are_last: bool,
    ) -> Result<Vec<Block>, ArrowError> {
        if sorted.order.is_empty() && !are_last {
            return Ok(Vec::new());
        }
        let (mut rows, mut bytes) = (self.rows, self.bytes);
        let mut batches = self.take_batches();
        let before = batches.len();
        let mut order = Vec::with_capacity(rows);
        for (number, batch) in batches.iter().enumerate() {
            order.extend((0..batch.num_rows()).map(|row| (number, row)));
        }
        batches.extend(sorted.batches);
        let batches = Arc::new(HeldBatches {
            batches,
            _room: sorted.room,
        });
        let block = |order| Block {
            batches: Arc::clone(&batches),
            order: Some(order),
        };
        let mut blocks = Vec::new();
        for (number, row) in sorted.order {
            let row_bytes = sorted.sizes[number][row];
            if self.limits.are_reached(rows, bytes, row_bytes) {
                blocks.push(block(std::mem::take(&mut order)));
                (rows, bytes) = (0, 0);
            }
            order.push((before + number, row));
            rows += 1;
            bytes += row_bytes;
        }
        if are_last && rows > 0 {
            blocks.push(block(order));
        } else if rows > 0 {
            self.add(gather_all(&batches, &order)?, bytes);
        }
        Ok(blocks)
    }

    fn add(&mut self, batch: RecordBatch, bytes: usize) {
        self.rows += batch.num_rows();
        self.bytes += bytes;
        self.batches.push(batch);
    }

    /// Returns the last block, if there are rows for one.
    pub(crate) fn take(&mut self) -> Option<Block> {
        let batches = self.take_batches();
        (!batches.is_empty()).then(|| Block::of(batches))
    }

    fn take_batches(&mut self) -> Vec<RecordBatch> {
        (self.rows, self.bytes) = (0, 0);
        std::mem::take(&mut self.batches).into_vec()
    }
}

/// Rows of a batch that is not small.
const FEW_ROWS: usize = 1024;

/// Bytes of a batch that is not small, and is better not copied.
const FEW_BYTES: usize = 128 * 1024;

/// How many small batches become one.
const MANY_BATCHES: usize = 64;

/// Batches that have rows. Small ones become one, since each takes memory besides that of its rows.
#[derive(Default)]
pub(crate) struct Batches {
    all: Vec<RecordBatch>,
    /// How many there are at the end that are small.
    small: usize,
}

impl Batches {
    pub(crate) fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() == 0 {
            return;
        }
        let is_small = batch.num_rows() < FEW_ROWS && batch.get_array_memory_size() < FEW_BYTES;
        self.small = if is_small { self.small + 1 } else { 0 };
        self.all.push(batch);
        if self.small == MANY_BATCHES {
            self.join_small();
        }
    }

    fn join_small(&mut self) {
        let start = self.all.len() - std::mem::take(&mut self.small);
        let small = &self.all[start..];
        // What cannot be joined can stay as it is.
        if let Ok(joined) = concat_batches(&small[0].schema(), small) {
            self.all.truncate(start);
            self.all.push(joined);
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.all.iter().map(RecordBatch::num_rows).sum()
    }

    pub(crate) fn into_vec(self) -> Vec<RecordBatch> {
        self.all
    }
}

/// Copies some rows, each given by its batch and its place in that, to a batch.
fn gather_all(batches: &[RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
    let columns = (0..batches[0].num_columns()).map(|column| gather(batches, column, rows));
    RecordBatch::try_new(batches[0].schema(), columns.collect::<Result<_, _>>()?)
}

/// Returns about how many bytes the rows of a batch have.
pub(crate) fn bytes_of_all(batch: &RecordBatch) -> usize {
    bytes_between(batch, &[0, batch.num_rows()]).iter().sum()
}

/// Returns about how many bytes each row of a batch has.
pub(crate) fn bytes_of_each(batch: &RecordBatch) -> Vec<usize> {
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
            let lengths: Vec<_> = offsets.lengths().collect();
            let keys = dictionary.keys().values();
            let nulls = dictionary.nulls();
            for (size, ends) in each {
                for row in ends[0]..ends[1] {
                    let is_valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
                    *size += OFFSET_BYTES;
                    if is_valid {
                        *size += lengths[keys[row].as_usize()];
                    }
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
