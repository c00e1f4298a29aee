//! `Nullable(T)`: a byte for each row that is not zero where there is NULL, then all values of
//! `T`, with any value in place of NULL.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;

use crate::column::{Column, validity};
use crate::error::ColumnError;
use crate::input::Input;

pub(super) struct Nullable {
    is_null: Vec<u8>,
    left: usize,
    values: Box<dyn Column>,
}

impl Nullable {
    pub(super) fn new(values: Box<dyn Column>) -> Self {
        Self {
            is_null: Vec::new(),
            left: 0,
            values,
        }
    }
}

impl Column for Nullable {
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError> {
        self.left = rows;
        self.values.begin(rows)
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        let bytes = input.take(self.left);
        self.is_null.extend_from_slice(bytes);
        self.left -= bytes.len();
        Ok(self.left == 0 && self.values.read(input)?)
    }

    fn finish(&mut self, _: Option<NullBuffer>) -> Result<ArrayRef, ColumnError> {
        let nulls = validity(self.is_null.len(), |row| self.is_null[row] == 0);
        self.is_null.clear();
        self.values.finish(nulls)
    }
}
