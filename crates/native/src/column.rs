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

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::DataType;

use crate::error::ColumnError;
use crate::input::Input;
use crate::types::Type;

/// The version of a serialization that has one: `SharedDictionariesWithAdditionalKeys` of `LowCardinality`, which
/// has no other, and `STRING` of `JSON`.
pub(crate) const VERSION: u64 = 1;

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

/// Makes the reader of a type, given what it is in Arrow.
pub(crate) fn reader(of: &Type, arrow: &DataType) -> Box<dyn Column> {
    match (of, arrow) {
        (Type::String | Type::Json, _) => Box::new(strings::Strings::default()),
        (Type::FixedString(width), _) => Box::new(fixed_strings::FixedStrings::new(*width)),
        (Type::Enum8(names), _) => enums::enum8(names),
        (Type::Enum16(names), _) => enums::enum16(names),
        (Type::Nullable(inner), _) => Box::new(nullable::Nullable::new(reader(inner, arrow))),
        (Type::LowCardinality(inner), DataType::Dictionary(_, arrow)) => {
            let (values, has_null) = match &**inner {
                Type::Nullable(values) => (values, true),
                _ => (inner, false),
            };
            Box::new(low_cardinality::LowCardinality::new(
                reader(values, arrow),
                has_null,
            ))
        }
        (Type::Array(element), DataType::List(field)) => {
            let element = reader(element, field.data_type());
            Box::new(lists::Lists::array(element, Arc::clone(field)))
        }
        (Type::Map(key, value), DataType::Map(entries, _)) => {
            Box::new(lists::Lists::map([key, value], entries))
        }
        (Type::Tuple(members), _) if members.is_empty() => tuples::empty(),
        (Type::Tuple(members), DataType::Struct(fields)) => {
            let members = members.iter().map(|(_, each)| each);
            Box::new(tuples::Tuples::new(members, fields))
        }
        (scalar, _) => scalars::reader(scalar),
    }
}

/// Says where values are, or nothing if they are everywhere: then nobody has to look again.
fn validity(rows: usize, is_valid: impl FnMut(usize) -> bool) -> Option<NullBuffer> {
    let nulls = NullBuffer::new(BooleanBuffer::collect_bool(rows, is_valid));
    (nulls.null_count() > 0).then_some(nulls)
}
