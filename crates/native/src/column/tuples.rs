//! `Tuple(…)`: all values of the first member, all of the second, …

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Fields;

use crate::column::{Column, reader, scalars};
use crate::error::ColumnError;
use crate::input::Input;
use crate::types::Type;

pub(super) struct Tuples {
    members: Vec<Box<dyn Column>>,
    fields: Fields,
    /// How many members are complete.
    complete: usize,
}

impl Tuples {
    pub(super) fn new<'a>(members: impl Iterator<Item = &'a Type>, fields: &Fields) -> Self {
        let members = members.zip(fields);
        Self {
            members: members
                .map(|(each, field)| reader(each, field.data_type()))
                .collect(),
            fields: fields.clone(),
            complete: 0,
        }
    }

    /// Makes the array as what it is.
    pub(super) fn structs(
        &mut self,
        nulls: Option<NullBuffer>,
    ) -> Result<StructArray, ColumnError> {
        let members = self.members.iter_mut();
        let arrays = members
            .map(|member| member.finish(None))
            .collect::<Result<_, _>>()?;
        Ok(StructArray::try_new(self.fields.clone(), arrays, nulls)?)
    }
}

impl Column for Tuples {
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError> {
        self.complete = 0;
        self.members
            .iter_mut()
            .try_for_each(|member| member.begin(rows))
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError> {
        while let Some(member) = self.members.get_mut(self.complete) {
            if !member.read(input)? {
                return Ok(false);
            }
            self.complete += 1;
        }
        Ok(true)
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnError> {
        Ok(Arc::new(self.structs(nulls)?))
    }
}

/// Makes a reader of `Tuple()`, which has a byte for each row that says nothing.
pub(super) fn empty() -> Box<dyn Column> {
    scalars::fixed(|values: Vec<u8>, nulls| {
        Ok(Arc::new(StructArray::new_empty_fields(values.len(), nulls)))
    })
}
