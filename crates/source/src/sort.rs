//! The rows of a range, collected and put into the order of time.
//!
//! ClickHouse would copy every column several times for it, which takes it longer than everything
//! else of a query; here only the places of the rows move.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DynComparator, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, cast, interleave};
use arrow::datatypes::TimestampNanosecondType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use tokio::sync::OwnedSemaphorePermit;

use crate::blocks::{Batches, bytes_of_each};
use crate::error::SourceError;

/// Rows of the same time that are compared together, at most; what they are compared by is copied for it.
const TIES_AT_ONCE: usize = 4096;

/// Comparators that are kept: there is one for each column of each two batches.
const MAX_COMPARATORS: usize = 16_384;

const ASCENDING: SortOptions = SortOptions {
    descending: false,
    nulls_first: false,
};

/// What it takes to sort a row, besides the row.
const ROW_BYTES: usize = 64;

/// Which columns order rows, among those that are read: the columns of the file and others behind
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SortKeys {
    /// Columns of the dataset that are read for the order alone.
    pub(crate) hidden: Vec<usize>,
    /// The place of the time, then of what orders rows of the same time.
    pub(crate) places: Vec<usize>,
}

/// Collects rows.
pub(crate) struct Sorter {
    keys: SortKeys,
    batches: Batches,
    bytes: usize,
    /// How many bytes there may be.
    most_bytes: usize,
    room: Option<Room>,
}

/// The right to hold rows in memory, until it is dropped.
pub(crate) type Room = OwnedSemaphorePermit;

/// Rows in the order of time.
pub(crate) struct Sorted {
    /// The batches that have the rows, with the columns of the file.
    pub(crate) batches: Vec<RecordBatch>,
    /// About how many bytes each row of each batch has.
    pub(crate) sizes: Vec<Vec<usize>>,
    /// The rows in their order, each by its batch and its place in that.
    pub(crate) order: Vec<(usize, usize)>,
    /// The bytes of all that was read.
    pub(crate) bytes: usize,
    /// Taken for the batches.
    pub(crate) room: Option<Room>,
}

impl Sorter {
    pub(crate) fn new(keys: SortKeys, most_bytes: usize, room: Option<Room>) -> Self {
        Self {
            keys,
            batches: Batches::default(),
            bytes: 0,
            most_bytes,
            room,
        }
    }

    /// Takes a batch. Returns false once there are more rows than can be sorted here.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> bool {
        self.bytes += batch.get_array_memory_size() + batch.num_rows() * ROW_BYTES;
        self.batches.push(batch);
        self.bytes <= self.most_bytes
    }

    /// Returns how many rows there are, and the bytes of all.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.batches.rows(), self.bytes)
    }

    /// Sorts what was collected.
    pub(crate) fn finish(self) -> Result<Sorted, SourceError> {
        let batches = self.batches.into_vec();
        let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for (number, batch) in batches.iter().enumerate() {
            let times = batch.column(self.keys.places[0]);
            let times = times.as_primitive_opt::<TimestampNanosecondType>();
            let times = times.ok_or_else(|| SourceError::Schema("its time is none".to_owned()))?;
            let places = times.values().iter().enumerate();
            rows.extend(places.map(|(row, time)| (*time, (number, row))));
        }
        rows.sort_by_key(|(time, _)| *time);
        let file: Vec<_> = match batches.first() {
            Some(batch) => (0..batch.num_columns() - self.keys.hidden.len()).collect(),
            None => Vec::new(),
        };
        // Rows of the same time by the dataset's keys, and then by all else that the file shows of
        // them, so that rows which look different have one order, however ClickHouse sends them.
        let ties = runs(&rows, 0, |one, other| one.0 == other.0);
        let ties = order_by(&batches, &self.keys.places[1..], &mut rows, &ties)
            .map_err(SourceError::Order)?;
        order_by(&batches, &file, &mut rows, &ties).map_err(SourceError::Order)?;
        let batches = batches.iter().map(|batch| batch.project(&file));
        let batches = batches
            .collect::<Result<Vec<_>, _>>()
            .map_err(SourceError::Order)?;
        Ok(Sorted {
            sizes: batches.iter().map(bytes_of_each).collect(),
            batches,
            order: rows.into_iter().map(|(_, row)| row).collect(),
            bytes: self.bytes,
            room: self.room,
        })
    }
}

/// A time, and where the row is: its batch and its place in that.
type Row = (i64, (usize, usize));

/// Returns where rows that follow each other are the same, counted from `start`.
fn runs<T>(rows: &[T], start: usize, are_same: impl Fn(&T, &T) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = start;
    for run in rows.chunk_by(are_same) {
        let end = start + run.len();
        if run.len() > 1 {
            runs.push(start..end);
        }
        start = end;
    }
    runs
}

/// Orders the rows of each run by some columns. Returns the runs of those that are still the same.
fn order_by(
    batches: &[RecordBatch],
    columns: &[usize],
    rows: &mut [Row],
    same: &[Range<usize>],
) -> Result<Vec<Range<usize>>, ArrowError> {
    if columns.is_empty() {
        return Ok(same.to_vec());
    }
    let mut still = Vec::new();
    let mut rest = same;
    while let Some((first, later)) = rest.split_first() {
        if first.len() > TIES_AT_ONCE {
            still.extend(order_in_place(batches, columns, rows, first)?);
            rest = later;
            continue;
        }
        let mut length = 0;
        let next = rest.iter().position(|run| {
            length += run.len();
            length > TIES_AT_ONCE
        });
        let (now, later) = rest.split_at(next.unwrap_or(rest.len()));
        rest = later;
        let tied: Vec<_> = now
            .iter()
            .flat_map(|run| rows[run.clone()].iter().map(|(_, row)| *row))
            .collect();
        let compared = comparable(batches, columns, &tied)?;
        let mut start = 0;
        for run in now {
            let mut places: Vec<_> = (start..start + run.len()).collect();
            start += run.len();
            places.sort_by(|one, other| compared.row(*one).cmp(&compared.row(*other)));
            for (row, place) in rows[run.clone()].iter_mut().zip(&places) {
                row.1 = tied[*place];
            }
            still.extend(runs(&places, run.start, |one, other| {
                compared.row(*one) == compared.row(*other)
            }));
        }
    }
    Ok(still)
}

/// Does the same with one run that is too long to copy what it is compared by.
fn order_in_place(
    batches: &[RecordBatch],
    columns: &[usize],
    rows: &mut [Row],
    run: &Range<usize>,
) -> Result<Vec<Range<usize>>, ArrowError> {
    let comparators = Comparators::new(batches, columns);
    let rows = &mut rows[run.clone()];
    rows.sort_by(|(_, one), (_, other)| comparators.compare(*one, *other));
    let still = runs(rows, run.start, |(_, one), (_, other)| {
        comparators.compare(*one, *other).is_eq()
    });
    comparators.finish().map(|()| still)
}

/// Compares rows where they stand, NULLs last.
struct Comparators<'a> {
    batches: &'a [RecordBatch],
    columns: &'a [usize],
    /// Of a column of one batch with that of another, as they are needed.
    made: RefCell<HashMap<(usize, usize, usize), DynComparator>>,
    failed: RefCell<Option<ArrowError>>,
}

impl<'a> Comparators<'a> {
    fn new(batches: &'a [RecordBatch], columns: &'a [usize]) -> Self {
        Self {
            batches,
            columns,
            made: RefCell::default(),
            failed: RefCell::default(),
        }
    }

    /// Compares two rows, each given by its batch and its place in that.
    fn compare(&self, one: (usize, usize), other: (usize, usize)) -> Ordering {
        let mut made = self.made.borrow_mut();
        if made.len() > MAX_COMPARATORS {
            made.clear();
        }
        for &column in self.columns {
            let comparator = match made.entry((column, one.0, other.0)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => {
                    let one = self.batches[one.0].column(column);
                    let other = self.batches[other.0].column(column);
                    match make_comparator(one, other, ASCENDING) {
                        Ok(comparator) => vacant.insert(comparator),
                        Err(error) => {
                            self.failed.borrow_mut().get_or_insert(error);
                            continue;
                        }
                    }
                }
            };
            let ordering = comparator(one.1, other.1);
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// Says whether all could be compared.
    fn finish(self) -> Result<(), ArrowError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }
}

/// Brings some columns of some rows into a form that can be compared fast, NULLs last.
fn comparable(
    batches: &[RecordBatch],
    columns: &[usize],
    rows: &[(usize, usize)],
) -> Result<Rows, ArrowError> {
    let columns = columns.iter();
    let columns = columns
        .map(|column| gather(batches, *column, rows))
        .collect::<Result<Vec<_>, _>>()?;
    let fields = columns
        .iter()
        .map(|column| SortField::new_with_options(column.data_type().clone(), ASCENDING));
    RowConverter::new(fields.collect())?.convert_columns(&columns)
}

/// Copies the values of some rows, each given by its batch and its place in that.
pub(crate) fn gather(
    batches: &[RecordBatch],
    column: usize,
    rows: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let arrays = batches.iter().map(|batch| batch.column(column));
    let alike = batches[0].column(column).data_type();
    // Answers to two queries may differ in whether a text comes in a dictionary.
    let arrays = arrays.map(|array| match array.data_type() {
        data_type if data_type == alike => Ok(Arc::clone(array)),
        _ => cast(array, alike),
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    interleave(&arrays, rows)
}

#[cfg(test)]
mod tests;
