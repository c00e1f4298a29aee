//! Values of a fixed width, little-endian, one behind the other.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::i256;

use crate::column::Column;
use crate::column::history::History;
use crate::error::ColumnError;
use crate::input::{Elements, Input};

/// A value of a fixed width.
pub(crate) trait Element<const WIDTH: usize>: Copy + Send {
    /// Reads one.
    fn from_le(bytes: [u8; WIDTH]) -> Self;
}

macro_rules! elements {
    ($($type:ty: $width:literal),*) => {
        $(impl Element<$width> for $type {
            #[inline]
            fn from_le(bytes: [u8; $width]) -> Self {
                Self::from_le_bytes(bytes)
            }
        })*
    };
}

elements!(
    u8: 1, u16: 2, u32: 4, u64: 8, u128: 16,
    i8: 1, i16: 2, i32: 4, i64: 8, i128: 16, i256: 32,
    f32: 4, f64: 8
);

impl<const WIDTH: usize> Element<WIDTH> for [u8; WIDTH] {
    #[inline]
    fn from_le(bytes: [u8; WIDTH]) -> Self {
        bytes
    }
}

/// Reads values into a vector that the array is then made of, without a copy where the array has
/// the same representation.
pub(crate) struct Fixed<E, M, const WIDTH: usize> {
    values: Vec<E>,
    elements: Elements<WIDTH>,
    left: usize,
    history: History,
    make: M,
}

impl<E, M, const WIDTH: usize> Fixed<E, M, WIDTH>
where
    E: Element<WIDTH>,
    M: Fn(Vec<E>, Option<NullBuffer>) -> Result<ArrayRef, ColumnError> + Send,
{
    pub(crate) fn new(make: M) -> Self {
        Self {
            values: Vec::new(),
            elements: Elements::default(),
            left: 0,
            history: History::default(),
            make,
        }
    }
}

impl<E, M, const WIDTH: usize> Column for Fixed<E, M, WIDTH>
where
    E: Element<WIDTH>,
    M: Fn(Vec<E>, Option<NullBuffer>) -> Result<ArrayRef, ColumnError> + Send,
{
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError> {
        self.left = rows;
        self.values.reserve(self.history.expect(rows).min(rows));
        Ok(())
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        let values = &mut self.values;
        self.elements.read(input, &mut self.left, |run| {
            values.extend(run.iter().map(|bytes| E::from_le(*bytes)));
        });
        Ok(self.left == 0)
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnError> {
        let rows = self.values.len();
        self.history.remember(rows, rows);
        (self.make)(std::mem::take(&mut self.values), nulls)
    }
}
