//! The indexes of a `LowCardinality`: 8 to 64 bits on the wire, 32 in Arrow.

use crate::column::fixed::Element;
use crate::column::history::History;
use crate::error::ColumnError;
use crate::input::{Elements, Input};

#[derive(Default)]
pub(super) struct Indexes {
    keys: Vec<i32>,
    left: usize,
    elements: Width,
    history: History,
}

/// How wide an index is, and a part of one that was cut.
pub(super) enum Width {
    One(Elements<1>),
    Two(Elements<2>),
    Four(Elements<4>),
    Eight(Elements<8>),
}

impl Default for Width {
    fn default() -> Self {
        Self::One(Elements::default())
    }
}

impl Width {
    /// Reads the number that stands for the width.
    pub(super) fn parse(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::One(Elements::default()),
            1 => Self::Two(Elements::default()),
            2 => Self::Four(Elements::default()),
            3 => Self::Eight(Elements::default()),
            _ => return None,
        })
    }
}

impl Indexes {
    /// Prepares for so many indexes.
    pub(super) fn begin(&mut self, width: Width, rows: usize) {
        self.elements = width;
        self.left = rows;
        self.keys.reserve(self.history.expect(rows).min(rows));
    }

    /// Reads what there is of indexes into a dictionary of this length.
    pub(super) fn read(
        &mut self,
        input: &mut Input<'_>,
        length: usize,
    ) -> Result<bool, ColumnError> {
        let (keys, left) = (&mut self.keys, &mut self.left);
        let greatest = match &mut self.elements {
            Width::One(elements) => read::<u8, 1>(elements, input, left, keys),
            Width::Two(elements) => read::<u16, 2>(elements, input, left, keys),
            Width::Four(elements) => read::<u32, 4>(elements, input, left, keys),
            Width::Eight(elements) => read::<u64, 8>(elements, input, left, keys),
        };
        match greatest {
            Some(index) if usize::try_from(index).map_or(true, |index| index >= length) => {
                Err(ColumnError::Index { index, length })
            }
            _ => Ok(self.left == 0),
        }
    }

    pub(super) fn take(&mut self) -> Vec<i32> {
        let rows = self.keys.len();
        self.history.remember(rows, rows);
        std::mem::take(&mut self.keys)
    }
}

/// An index of some width.
trait Index: Ord + Into<u64> {
    /// The lowest bits; all of them, when the index is in a dictionary of at most 2^31 values.
    fn key(self) -> i32;
}

impl Index for u8 {
    fn key(self) -> i32 {
        self.into()
    }
}

impl Index for u16 {
    fn key(self) -> i32 {
        self.into()
    }
}

impl Index for u32 {
    fn key(self) -> i32 {
        self.cast_signed()
    }
}

impl Index for u64 {
    fn key(self) -> i32 {
        let [a, b, c, d, ..] = self.to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    }
}

/// Appends indexes, and returns the greatest.
fn read<E: Element<WIDTH> + Index, const WIDTH: usize>(
    elements: &mut Elements<WIDTH>,
    input: &mut Input<'_>,
    left: &mut usize,
    keys: &mut Vec<i32>,
) -> Option<u64> {
    let mut greatest = None;
    elements.read(input, left, |run| {
        greatest = greatest.max(run.iter().map(|bytes| E::from_le(*bytes)).max());
        keys.extend(run.iter().map(|bytes| E::from_le(*bytes).key()));
    });
    greatest.map(Into::into)
}
