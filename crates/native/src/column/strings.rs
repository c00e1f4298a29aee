//! `String`: for each row a length and that many bytes, of any kind.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};

use crate::column::Column;
use crate::column::history::History;
use crate::error::ColumnError;
use crate::input::{Input, VarUInt};

/// Copies of so many bytes become a few instructions, copies of any length a call.
const SHORT: usize = 32;

#[derive(Default)]
pub(super) struct Strings {
    /// Where the rows end, behind a zero where the first one starts.
    offsets: Vec<i32>,
    values: Vec<u8>,
    left: usize,
    length: VarUInt,
    /// How many bytes of the string at hand are still to come, once its length is known.
    missing: Option<usize>,
    history: History,
}

impl Strings {
    /// Reads strings that are in the input as a whole, up to one that is not.
    fn whole(&mut self, input: &mut Input<'_>) -> Result<(), ColumnError> {
        let bytes = input.rest();
        let (offsets, values) = (&mut self.offsets, &mut self.values);
        offsets.reserve(self.left.min(bytes.len()));
        let mut rest = bytes;
        while self.left > 0 {
            let Some((length, behind)) = length(rest)? else {
                break;
            };
            let Some(string) = behind.get(..length) else {
                break;
            };
            match behind.first_chunk::<SHORT>() {
                Some(chunk) if length <= SHORT => {
                    let end = values.len() + length;
                    values.extend_from_slice(chunk);
                    values.truncate(end);
                }
                _ => values.extend_from_slice(string),
            }
            offsets.push(end(values.len())?);
            rest = &behind[length..];
            self.left -= 1;
        }
        input.skip(bytes.len() - rest.len());
        Ok(())
    }

    /// Reads a string that goes on in the next chunk, or came from the last. Returns whether it
    /// is complete.
    fn part(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        let missing = match self.missing {
            Some(missing) => missing,
            None => match self.length.read(input).map_err(|_| ColumnError::Length)? {
                Some(length) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    end(self.values.len().saturating_add(length))?;
                    length
                }
                None => return Ok(false),
            },
        };
        let part = input.take(missing);
        self.values.extend_from_slice(part);
        if part.len() < missing {
            self.missing = Some(missing - part.len());
            return Ok(false);
        }
        self.missing = None;
        self.offsets.push(end(self.values.len())?);
        self.left -= 1;
        Ok(true)
    }
}

/// Splits a length off, if it is there as a whole.
#[inline]
fn length(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, ColumnError> {
    match bytes {
        [length, rest @ ..] if *length < 0x80 => Ok(Some((usize::from(*length), rest))),
        [low, high, rest @ ..] if *high < 0x80 => {
            let length = usize::from(*low & 0x7f) | usize::from(*high) << 7;
            Ok(Some((length, rest)))
        }
        _ => long_length(bytes),
    }
}

#[cold]
fn long_length(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, ColumnError> {
    let mut input = Input::new(bytes);
    let length = VarUInt::default().read(&mut input);
    let length = length.map_err(|_| ColumnError::Length)?;
    Ok(length.map(|length| {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        (length, input.rest())
    }))
}

#[inline]
fn end(length: usize) -> Result<i32, ColumnError> {
    i32::try_from(length).map_err(|_| ColumnError::TooLarge("bytes"))
}

impl Column for Strings {
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError> {
        self.left = rows;
        self.offsets.clear();
        self.offsets.push(0);
        self.values.reserve(self.history.expect(rows));
        Ok(())
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        while self.left > 0 {
            if self.missing.is_none() && !self.length.is_begun() {
                self.whole(input)?;
            }
            if self.left > 0 && !self.part(input)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnError> {
        let rows = self.offsets.len() - 1;
        self.history.remember(rows, self.values.len());
        let offsets = OffsetBuffer::new(std::mem::take(&mut self.offsets).into());
        let values = std::mem::take(&mut self.values);
        Ok(Arc::new(BinaryArray::try_new(
            offsets,
            values.into(),
            nulls,
        )?))
    }
}
