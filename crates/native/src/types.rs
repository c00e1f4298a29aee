//! The types of ClickHouse, and what becomes of each in Arrow.

mod lexer;
mod parse;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

use crate::limits::Limits;

/// Why a type cannot be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// A type that this crate does not know, or knows that it cannot decode.
    #[error("has the type {0}, which cannot be read; cast it to String in the query")]
    Unsupported(String),
    /// A text that is no type.
    #[error("has a type that {problem} at {rest:?}")]
    Malformed {
        /// What is wrong, as a predicate.
        problem: &'static str,
        /// The text from there on, cut.
        rest: String,
    },
    /// Nested deeper than is allowed.
    #[error("has a type that is nested deeper than {0} levels")]
    TooDeep(usize),
    /// Made of more types than is allowed.
    #[error("has a type that is made of more than {0}")]
    TooMany(usize),
}

/// A type, with its custom names resolved: `Point` is a tuple, `Nested` an array of tuples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Int128,
    Int256,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    UInt128,
    UInt256,
    BFloat16,
    Float32,
    Float64,
    Decimal {
        precision: u8,
        scale: i8,
    },
    String,
    FixedString(usize),
    /// As text.
    Json,
    Date,
    Date32,
    DateTime {
        zone: Arc<str>,
    },
    DateTime64 {
        precision: u8,
        zone: Arc<str>,
    },
    Time,
    Time64 {
        precision: u8,
    },
    /// Numbers and their names, in the order of the numbers.
    Enum8(Vec<(i16, String)>),
    Enum16(Vec<(i16, String)>),
    Uuid,
    Ipv4,
    Ipv6,
    Nothing,
    Nullable(Box<Type>),
    LowCardinality(Box<Type>),
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<(String, Type)>),
}

impl Type {
    /// Reads the text of a type, as ClickHouse writes it.
    pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Self, TypeError> {
        parse::parse(text, limits)
    }

    /// Returns the Arrow type; the table is in the documentation of the crate.
    pub(crate) fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt8 => DataType::UInt8,
            Self::UInt16 => DataType::UInt16,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::BFloat16 | Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } if *precision <= 38 => {
                DataType::Decimal128(*precision, *scale)
            }
            Self::Decimal { precision, scale } => DataType::Decimal256(*precision, *scale),
            Self::String | Self::Json => DataType::Binary,
            Self::FixedString(width) => {
                DataType::FixedSizeBinary(i32::try_from(*width).unwrap_or(i32::MAX))
            }
            Self::Date | Self::Date32 => DataType::Date32,
            Self::DateTime { zone } => DataType::Timestamp(TimeUnit::Second, Some(zone.clone())),
            Self::DateTime64 { precision, zone } => {
                DataType::Timestamp(unit(*precision), Some(zone.clone()))
            }
            Self::Int128
            | Self::Int256
            | Self::UInt128
            | Self::UInt256
            | Self::Time
            | Self::Time64 { .. }
            | Self::Uuid
            | Self::Ipv4
            | Self::Ipv6 => DataType::Utf8,
            Self::Enum8(_) | Self::Enum16(_) => dictionary(DataType::Utf8),
            Self::Nothing => DataType::Null,
            Self::Nullable(inner) => inner.arrow(),
            Self::LowCardinality(inner) => dictionary(inner.arrow()),
            Self::Array(element) => DataType::List(element.field(Field::LIST_FIELD_DEFAULT_NAME)),
            Self::Map(key, value) => DataType::Map(map_entries(key, value), false),
            Self::Tuple(members) => DataType::Struct(tuple_fields(members)),
        }
    }

    /// Returns an Arrow field of this type.
    pub(crate) fn field(&self, name: &str) -> FieldRef {
        let nullable = match self {
            Self::Nullable(_) | Self::Nothing => true,
            Self::LowCardinality(inner) => matches!(**inner, Self::Nullable(_)),
            _ => false,
        };
        Arc::new(Field::new(name, self.arrow(), nullable))
    }

    /// Returns how many of the types that this one is made of have a version of their serialization,
    /// each of which comes ahead of all data of the column.
    pub(crate) fn versions(&self) -> usize {
        match self {
            Self::LowCardinality(_) | Self::Json => 1,
            Self::Nullable(inner) | Self::Array(inner) => inner.versions(),
            Self::Map(key, value) => key.versions() + value.versions(),
            Self::Tuple(members) => members.iter().map(|(_, each)| each.versions()).sum(),
            _ => 0,
        }
    }
}

/// Returns the coarsest unit that holds so many decimal places of a second.
pub(crate) fn unit(precision: u8) -> TimeUnit {
    match precision {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// Returns the field of the entries of a map.
fn map_entries(key: &Type, value: &Type) -> FieldRef {
    let entry = Fields::from(vec![key.field("key"), value.field("value")]);
    Arc::new(Field::new("entries", DataType::Struct(entry), false))
}

/// Returns the fields of a tuple.
fn tuple_fields(members: &[(String, Type)]) -> Fields {
    members
        .iter()
        .map(|(name, each)| each.field(name))
        .collect()
}

fn dictionary(values: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(values))
}
