//! A column of a record batch, downcast once so that its rows can be written fast.

use std::cell::OnceCell;
use std::ops::Range;

use arrow::array::{Array, AsArray, LargeStringArray, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, FieldRef, Fields,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::error::EncodeError;
use crate::json::{Quotes, write_string};
use crate::scalar::{Float, Number, Plain};
use crate::written::{Strings, Written};

/// How often each text of a dictionary is there, about, if it is to be written once for all rows. Blocks
/// that are sorted can take a few rows each of the same batch.
const REPEATED: usize = 8;

/// A column, at the top of a batch or inside of another column.
pub(crate) struct Column {
    nulls: Option<NullBuffer>,
    values: Values,
}

/// What a column holds, by the way it is written.
pub(crate) enum Values {
    Number(Number),
    Float(Float),
    Plain(Plain),
    Text(Text),
    /// Texts that are JSON themselves.
    Json(Text),
    List {
        offsets: OffsetBuffer<i32>,
        items: Box<Column>,
    },
    Map {
        offsets: OffsetBuffer<i32>,
        keys: Text,
        values: Box<Column>,
    },
    Struct(Vec<(String, Column)>),
}

/// UTF-8 text in each of the forms that Arrow has for it.
pub(crate) enum Text {
    Small(StringArray),
    Large(LargeStringArray),
    Dictionary {
        keys: ScalarBuffer<i32>,
        values: Box<Text>,
        /// The values as they are written, if there are few of them.
        written: Option<Written>,
    },
}

impl Column {
    /// Downcasts the columns of a batch.
    pub(crate) fn of_batch(batch: &RecordBatch) -> Result<Vec<Self>, EncodeError> {
        let schema = batch.schema_ref();
        let columns = schema.fields().iter().zip(batch.columns());
        columns
            .map(|(field, array)| {
                Self::new(array).map_err(|Unsupported(data_type)| EncodeError::UnsupportedType {
                    column: field.name().clone(),
                    data_type,
                })
            })
            .collect()
    }

    fn new(array: &dyn Array) -> Result<Self, Unsupported> {
        Ok(Self {
            nulls: array.logical_nulls(),
            values: Values::new(array)?,
        })
    }

    /// Returns the value of a row, or nothing for NULL.
    pub(crate) fn get(&self, row: usize) -> Option<&Values> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(&self.values),
        }
    }

    /// Returns texts in their simplest form, of which none is NULL.
    pub(crate) fn as_texts(&self) -> Option<&StringArray> {
        match (&self.nulls, &self.values) {
            (None, Values::Text(Text::Small(texts))) => Some(texts),
            _ => None,
        }
    }
}

/// A type that no column can have.
struct Unsupported(DataType);

impl Values {
    fn new(array: &dyn Array) -> Result<Self, Unsupported> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Number(Number::Boolean(array.as_boolean().values().clone())),
            DataType::Int8 => Self::Number(Number::Int8(primitive::<Int8Type>(array))),
            DataType::Int16 => Self::Number(Number::Int16(primitive::<Int16Type>(array))),
            DataType::Int32 => Self::Number(Number::Int32(primitive::<Int32Type>(array))),
            DataType::Int64 => Self::Number(Number::Int64(primitive::<Int64Type>(array))),
            DataType::UInt8 => Self::Number(Number::UInt8(primitive::<UInt8Type>(array))),
            DataType::UInt16 => Self::Number(Number::UInt16(primitive::<UInt16Type>(array))),
            DataType::UInt32 => Self::Number(Number::UInt32(primitive::<UInt32Type>(array))),
            DataType::UInt64 => Self::Number(Number::UInt64(primitive::<UInt64Type>(array))),
            DataType::Decimal128(_, scale) => Self::Number(Number::Decimal {
                unscaled: primitive::<Decimal128Type>(array),
                scale: *scale,
            }),
            DataType::Float32 => Self::Float(Float::Float32(primitive::<Float32Type>(array))),
            DataType::Float64 => Self::Float(Float::Float64(primitive::<Float64Type>(array))),
            DataType::Timestamp(unit, Some(zone)) if zone.as_ref() == "UTC" => {
                Self::Plain(Plain::Timestamp {
                    values: timestamps(array, *unit),
                    unit: *unit,
                })
            }
            DataType::Date32 => Self::Plain(Plain::Date(primitive::<Date32Type>(array))),
            DataType::Binary => Self::Plain(Plain::Binary(array.as_binary().clone())),
            DataType::FixedSizeBinary(_) => {
                Self::Plain(Plain::FixedSizeBinary(array.as_fixed_size_binary().clone()))
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::List {
                    offsets: list.offsets().clone(),
                    items: Box::new(Column::new(list.values())?),
                }
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                let mut values = Column::new(map.values())?;
                if are_json(map.entries().fields())
                    && let Values::Text(text) = values.values
                {
                    values.values = Self::Json(text);
                }
                Self::Map {
                    offsets: map.offsets().clone(),
                    keys: Text::new(map.keys())?,
                    values: Box::new(values),
                }
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                Self::Struct(
                    columns
                        .map(|(field, array)| Ok((field.name().clone(), Column::new(array)?)))
                        .collect::<Result<_, _>>()?,
                )
            }
            _ => Self::Text(Text::new(array)?),
        })
    }
}

impl Text {
    fn new(array: &dyn Array) -> Result<Self, Unsupported> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Small(array.as_string().clone()),
            DataType::LargeUtf8 => Self::Large(array.as_string().clone()),
            DataType::Dictionary(keys, _) if **keys == DataType::Int32 => {
                let dictionary = array.as_dictionary::<Int32Type>();
                Self::Dictionary {
                    keys: dictionary.keys().values().clone(),
                    values: Box::new(Self::new(dictionary.values())?),
                    written: (dictionary.values().len() <= dictionary.len() / REPEATED)
                        .then(Written::default),
                }
            }
            other => return Err(Unsupported(other.clone())),
        })
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Small(values) => values.len(),
            Self::Large(values) => values.len(),
            Self::Dictionary { keys, .. } => keys.len(),
        }
    }

    /// Writes the text of a row that is not NULL as a JSON string.
    pub(crate) fn write_json<Q: Quotes>(&self, row: usize, out: &mut Vec<u8>) {
        self.write(row, Q::of, write_string::<Q>, out);
    }

    /// Writes the text of a row that is not NULL. Those of a dictionary are written once, to `place`, and
    /// then copied for each row.
    pub(crate) fn write(
        &self,
        row: usize,
        place: impl Fn(&Written) -> &OnceCell<Strings>,
        write: impl Fn(&str, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Dictionary {
                keys,
                values,
                written: Some(written),
            } => {
                let strings = place(written).get_or_init(|| Strings::of(values, write));
                out.extend_from_slice(strings.get(keys[row].as_usize()));
            }
            text => write(text.value(row), out),
        }
    }

    /// Returns the text of a row that is not NULL.
    pub(crate) fn value(&self, row: usize) -> &str {
        match self {
            Self::Small(values) => values.value(row),
            Self::Large(values) => values.value(row),
            Self::Dictionary { keys, values, .. } => values.value(keys[row].as_usize()),
        }
    }
}

/// Tells whether the values of a map are JSON, by Arrow's canonical extension type.
fn are_json(entries: &Fields) -> bool {
    let extension = |value: &FieldRef| value.metadata().get("ARROW:extension:name").cloned();
    entries.get(1).and_then(extension).as_deref() == Some("arrow.json")
}

/// Returns where the items of a list or the entries of a map stand.
pub(crate) fn range(offsets: &OffsetBuffer<i32>, row: usize) -> Range<usize> {
    offsets[row].as_usize()..offsets[row + 1].as_usize()
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> ScalarBuffer<T::Native> {
    array.as_primitive::<T>().values().clone()
}

fn timestamps(array: &dyn Array, unit: TimeUnit) -> ScalarBuffer<i64> {
    match unit {
        TimeUnit::Second => primitive::<TimestampSecondType>(array),
        TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(array),
        TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(array),
        TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(array),
    }
}
