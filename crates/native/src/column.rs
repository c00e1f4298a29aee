//! The data of one column: a tree of readers, one for each level of its type.
//!
//! Each reader takes what there is of its bytes and goes on with the next chunk where it stopped;
//! it allocates only for what arrived.

mod enums;
mod fixed;
mod fixed_strings;
mod history;
mod indexes;
mod lists;
mod low_cardinality;
mod nullable;
mod scalars;
mod strings;
mod text;
mod times;
mod tuples;

use arrow::array::ArrayRef;
use arrow::buffer::{BooleanBuffer, NullBuffer};

use crate::error::ColumnError;
use crate::input::Input;
use crate::types::{self, Type};

pub(crate) use low_cardinality::VERSION;

/// Reads the values of one type.
///
/// Used over and over: [`begin`](Self::begin), [`read`](Self::read) until it says that all are
/// there, [`finish`](Self::finish).
pub(crate) trait Column: Send {
    /// Prepares for so many values.
    fn begin(&mut self, rows: usize) -> Result<(), ColumnError>;

    /// Reads what there is, and returns whether that was all. No value needs no bytes.
    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, ColumnError>;

    /// Makes the array. What is at the place of a NULL is of no account.
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnError>;
}

/// Makes the reader of a type.
pub(crate) fn reader(of: &Type) -> Box<dyn Column> {
    match of {
        Type::String => Box::new(strings::Strings::default()),
        Type::FixedString(width) => Box::new(fixed_strings::FixedStrings::new(*width)),
        Type::Enum8(names) => enums::enum8(names),
        Type::Enum16(names) => enums::enum16(names),
        Type::Nullable(inner) => Box::new(nullable::Nullable::new(reader(inner))),
        Type::LowCardinality(inner) => {
            let (values, has_null) = match &**inner {
                Type::Nullable(values) => (values, true),
                _ => (inner, false),
            };
            Box::new(low_cardinality::LowCardinality::new(
                reader(values),
                has_null,
            ))
        }
        Type::Array(element) => Box::new(lists::Lists::array(
            reader(element),
            element.field(arrow::datatypes::Field::LIST_FIELD_DEFAULT_NAME),
        )),
        Type::Map(key, value) => {
            let entries = types::map_entries(key, value);
            Box::new(lists::Lists::map([reader(key), reader(value)], entries))
        }
        Type::Tuple(members) if members.is_empty() => tuples::empty(),
        Type::Tuple(members) => Box::new(tuples::Tuples::new(
            members.iter().map(|(_, each)| reader(each)).collect(),
            types::tuple_fields(members),
        )),
        scalar => scalars::reader(scalar),
    }
}

/// Says where values are, or nothing if they are everywhere: then nobody has to look again.
fn validity(rows: usize, is_valid: impl FnMut(usize) -> bool) -> Option<NullBuffer> {
    let nulls = NullBuffer::new(BooleanBuffer::collect_bool(rows, is_valid));
    (nulls.null_count() > 0).then_some(nulls)
}
