//! `Array(T)` and `Map(K, V)`: for each row where its elements end, counted from the start of the
//! column in 64 bits; then all elements, those of a map as a tuple.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};

use crate::column::Column;
use crate::column::history::History;
use crate::column::tuples::Tuples;
use crate::error::ColumnError;
use crate::input::{Elements, Input};
use crate::types::Type;

pub(super) struct Lists {
    /// Where the rows end, behind a zero where the first one starts.
    offsets: Vec<i32>,
    elements: Elements<8>,
    left: usize,
    are_values_begun: bool,
    history: History,
    values: Values,
    field: FieldRef,
}

enum Values {
    Elements(Box<dyn Column>),
    Entries(Tuples),
}

impl Values {
    fn column(&mut self) -> &mut dyn Column {
        match self {
            Self::Elements(elements) => &mut **elements,
            Self::Entries(entries) => entries,
        }
    }
}

impl Lists {
    pub(super) fn array(element: Box<dyn Column>, field: FieldRef) -> Self {
        Self::new(Values::Elements(element), field)
    }

    pub(super) fn map(entry: [&Type; 2], field: &FieldRef) -> Self {
        let fields = match field.data_type() {
            DataType::Struct(fields) => fields,
            _ => &Fields::empty(),
        };
        let entries = Values::Entries(Tuples::new(entry.into_iter(), fields));
        Self::new(entries, Arc::clone(field))
    }

    fn new(values: Values, field: FieldRef) -> Self {
        Self {
            offsets: Vec::new(),
            elements: Elements::default(),
            left: 0,
            are_values_begun: false,
            history: History::default(),
            values,
            field,
        }
    }

    fn read_offsets(&mut self, input: &mut Input<'_>) -> Result<(), ColumnError> {
        let offsets = &mut self.offsets;
        let mut result = Ok(());
        self.elements.read(input, &mut self.left, |run| {
            if result.is_ok() {
                result = extend(offsets, run);
            }
        });
        result
    }
}

/// Appends the ends of some rows.
fn extend(offsets: &mut Vec<i32>, run: &[[u8; 8]]) -> Result<(), ColumnError> {
    let last = offsets.last().map_or(0, |last| i64::from(*last));
    // No branch in the loop, so that it becomes vector instructions. A number that is not below
    // 2^63 is negative here, so it is found among those that fall, too.
    let mut falls = false;
    let mut previous = last;
    for bytes in run {
        let end = i64::from_le_bytes(*bytes);
        falls |= end < previous;
        previous = end;
    }
    if falls {
        return Err(ColumnError::Offsets);
    }
    if i32::try_from(previous).is_err() {
        return Err(ColumnError::TooLarge("elements of lists"));
    }
    // None is greater than the last.
    offsets.extend(
        run.iter()
            .map(|[a, b, c, d, ..]| i32::from_le_bytes([*a, *b, *c, *d])),
    );
    Ok(())
}

impl Column for Lists {
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError> {
        self.left = rows;
        self.offsets.clear();
        self.offsets
            .reserve(self.history.expect(rows).min(rows) + 1);
        self.offsets.push(0);
        self.are_values_begun = false;
        self.values.column().begin(0)
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        if self.left > 0 {
            self.read_offsets(input)?;
            if self.left > 0 {
                return Ok(false);
            }
        }
        if !self.are_values_begun {
            let total = self.offsets.last().copied().map_or(0, i32::unsigned_abs);
            let total = usize::try_from(total).map_err(|_| ColumnError::Offsets)?;
            self.values.column().begin(total)?;
            self.are_values_begun = true;
        }
        self.values.column().read(input)
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnError> {
        let rows = self.offsets.len() - 1;
        self.history.remember(rows, rows);
        let offsets = OffsetBuffer::new(std::mem::take(&mut self.offsets).into());
        let field = Arc::clone(&self.field);
        Ok(match &mut self.values {
            Values::Elements(elements) => {
                let elements = elements.finish(None)?;
                Arc::new(ListArray::try_new(field, offsets, elements, nulls)?)
            }
            Values::Entries(entries) => {
                let entries = entries.structs(None)?;
                Arc::new(MapArray::try_new(field, offsets, entries, nulls, false)?)
            }
        })
    }
}
