//! The rows of a range, collected and put into the order of time.
//!
//! ClickHouse would copy every column several times for it, which takes it longer than everything
//! else of a query; here only the places of the rows move.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{SortOptions, cast, interleave};
use arrow::datatypes::TimestampNanosecondType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use crate::blocks::{Batches, bytes_of_all, bytes_of_each};
use crate::error::SourceError;

/// Rows of the same time that are compared together; they are copied for it.
const TIES_AT_ONCE: usize = 4096;

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
}

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
}

impl Sorter {
    pub(crate) fn new(keys: SortKeys, most_bytes: usize) -> Self {
        Self {
            keys,
            batches: Batches::default(),
            bytes: 0,
            most_bytes,
        }
    }

    /// Takes a batch. Returns false once there are more rows than can be sorted here.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> bool {
        self.bytes += bytes_of_all(&batch);
        self.batches.push(batch);
        self.bytes <= self.most_bytes
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
        Ties::new(&batches, &self.keys.places[1..], &file)
            .order(&mut rows)
            .map_err(SourceError::Order)?;
        let batches = batches.iter().map(|batch| batch.project(&file));
        let batches = batches
            .collect::<Result<Vec<_>, _>>()
            .map_err(SourceError::Order)?;
        Ok(Sorted {
            sizes: batches.iter().map(bytes_of_each).collect(),
            batches,
            order: rows.into_iter().map(|(_, row)| row).collect(),
            bytes: self.bytes,
        })
    }
}

/// Orders rows of the same time: by the dataset's keys, and then by all else that the file shows of
/// them, so that rows which look different have one order, however ClickHouse sends them.
struct Ties<'a> {
    batches: &'a [RecordBatch],
    columns: Vec<usize>,
}

type Row = (i64, (usize, usize));

impl<'a> Ties<'a> {
    fn new(batches: &'a [RecordBatch], keys: &[usize], file: &[usize]) -> Self {
        let mut seen = BTreeSet::new();
        let columns = keys.iter().chain(file).copied();
        Self {
            batches,
            columns: columns.filter(|column| seen.insert(*column)).collect(),
        }
    }

    fn order(&self, rows: &mut [Row]) -> Result<(), ArrowError> {
        let mut runs = Vec::new();
        let mut start = 0;
        for run in rows.chunk_by(|one, other| one.0 == other.0) {
            if run.len() > 1 {
                runs.push(start..start + run.len());
            }
            start += run.len();
        }
        let mut runs = &runs[..];
        while !runs.is_empty() {
            let mut length = 0;
            let end = runs.iter().position(|run| {
                length += run.len();
                length >= TIES_AT_ONCE
            });
            let (now, later) = runs.split_at(end.map_or(runs.len(), |last| last + 1));
            self.order_runs(rows, now)?;
            runs = later;
        }
        Ok(())
    }

    fn order_runs(&self, rows: &mut [Row], runs: &[Range<usize>]) -> Result<(), ArrowError> {
        let tied: Vec<_> = runs
            .iter()
            .flat_map(|run| rows[run.clone()].iter().map(|(_, row)| *row))
            .collect();
        let columns = self.columns.iter();
        let columns = columns
            .map(|column| gather(self.batches, *column, &tied))
            .collect::<Result<Vec<_>, _>>()?;
        let ascending = SortOptions {
            descending: false,
            nulls_first: false,
        };
        let fields = columns
            .iter()
            .map(|column| SortField::new_with_options(column.data_type().clone(), ascending));
        let compared = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
        let mut start = 0;
        for run in runs {
            let mut places: Vec<_> = (start..start + run.len()).collect();
            start += run.len();
            places.sort_by(|one, other| compared.row(*one).cmp(&compared.row(*other)));
            for (row, place) in rows[run.clone()].iter_mut().zip(places) {
                row.1 = tied[place];
            }
        }
        Ok(())
    }
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
