//! `LowCardinality(T)`: a dictionary and an index for each row.
//!
//! Ahead of all data of the column is the version of the serialization, see [`VERSION`](super::VERSION). The data,
//! if there are any rows, is: flags and the width of the indexes (64 bits), the length of the
//! dictionary (64 bits), its values as those of `T` without `Nullable`, the number of rows (64
//! bits), the indexes. With `Nullable` the first of the dictionary is NULL. HTTP sends each block
//! a dictionary of its own.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;

use crate::column::indexes::{Indexes, Width};
use crate::column::{Column, validity};
use crate::error::ColumnError;
use crate::input::{Elements, Input};

/// `HasAdditionalKeysBit`: the dictionary is in this block.
const HAS_KEYS: u64 = 1 << 9;
/// `NeedUpdateDictionary`, which changes nothing of the bytes.
const IS_NEW: u64 = 1 << 10;

pub(super) struct LowCardinality {
    values: Box<dyn Column>,
    /// Whether the first of the dictionary is NULL.
    has_null: bool,
    rows: usize,
    step: Step,
    number: Elements<8>,
    /// The length of the dictionary.
    length: usize,
    indexes: Indexes,
}

/// What is read next.
#[derive(Clone, Copy)]
enum Step {
    Flags,
    Length,
    Values,
    Rows,
    Indexes,
}

impl LowCardinality {
    pub(super) fn new(values: Box<dyn Column>, has_null: bool) -> Self {
        Self {
            values,
            has_null,
            rows: 0,
            step: Step::Flags,
            number: Elements::default(),
            length: 0,
            indexes: Indexes::default(),
        }
    }

    fn number(&mut self, input: &mut Input<'_>) -> Option<u64> {
        self.number.one(input).map(u64::from_le_bytes)
    }

    fn flags(&mut self, flags: u64) -> Result<(), ColumnError> {
        let width = (flags & !IS_NEW)
            .checked_sub(HAS_KEYS)
            .and_then(Width::parse)
            .ok_or(ColumnError::DictionaryFlags(flags))?;
        self.indexes.begin(width, self.rows);
        Ok(())
    }

    fn length(&mut self, length: u64) -> Result<(), ColumnError> {
        self.length = i32::try_from(length)
            .ok()
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(ColumnError::TooLarge("values of a dictionary"))?;
        self.values.begin(self.length)
    }

    fn check_rows(&self, rows: u64) -> Result<(), ColumnError> {
        if usize::try_from(rows) == Ok(self.rows) {
            Ok(())
        } else {
            Err(ColumnError::Indexes {
                expected: self.rows,
                received: rows,
            })
        }
    }
}

impl Column for LowCardinality {
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError> {
        self.rows = rows;
        self.step = Step::Flags;
        self.length = 0;
        self.values.begin(0)
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        if self.rows == 0 {
            return Ok(true);
        }
        loop {
            self.step = match self.step {
                Step::Flags => {
                    let Some(flags) = self.number(input) else {
                        return Ok(false);
                    };
                    self.flags(flags)?;
                    Step::Length
                }
                Step::Length => {
                    let Some(length) = self.number(input) else {
                        return Ok(false);
                    };
                    self.length(length)?;
                    Step::Values
                }
                Step::Values => {
                    if !self.values.read(input)? {
                        return Ok(false);
                    }
                    Step::Rows
                }
                Step::Rows => {
                    let Some(rows) = self.number(input) else {
                        return Ok(false);
                    };
                    self.check_rows(rows)?;
                    Step::Indexes
                }
                Step::Indexes => return self.indexes.read(input, self.length),
            }
        }
    }

    fn finish(&mut self, _: Option<NullBuffer>) -> Result<ArrayRef, ColumnError> {
        let values = self.values.finish(None)?;
        let keys = self.indexes.take();
        let nulls = if self.has_null {
            validity(keys.len(), |row| keys[row] != 0)
        } else {
            None
        };
        let keys = Int32Array::try_new(keys.into(), nulls)?;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(
            keys, values,
        )?))
    }
}
