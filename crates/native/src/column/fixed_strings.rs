//! `FixedString(N)`: as many bytes for each row, with the zeros that it was filled up with.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray};
use arrow::buffer::NullBuffer;

use crate::column::Column;
use crate::column::history::History;
use crate::error::ColumnError;
use crate::input::Input;

pub(super) struct FixedStrings {
    width: usize,
    rows: usize,
    left: usize,
    values: Vec<u8>,
    history: History,
}

impl FixedStrings {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            rows: 0,
            left: 0,
            values: Vec::new(),
            history: History::default(),
        }
    }
}

impl Column for FixedStrings {
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError> {
        let bytes = rows
            .checked_mul(self.width)
            .filter(|bytes| i32::try_from(*bytes).is_ok())
            .ok_or(ColumnError::TooLarge("bytes"))?;
        (self.rows, self.left) = (rows, bytes);
        let expected = self.history.expect(rows).min(bytes);
        self.values.reserve(expected);
        Ok(())
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        let bytes = input.take(self.left);
        self.values.extend_from_slice(bytes);
        self.left -= bytes.len();
        Ok(self.left == 0)
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnError> {
        self.history.remember(self.rows, self.values.len());
        let width = i32::try_from(self.width).map_err(|_| ColumnError::TooLarge("bytes"))?;
        let values = std::mem::take(&mut self.values);
        let array = FixedSizeBinaryArray::try_new(width, values.into(), nulls)?;
        Ok(Arc::new(array))
    }
}
