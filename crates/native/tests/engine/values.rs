//! Values of arrays, to be compared.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int32Type};

use crate::types::Type;

/// A value, whichever way it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// NULL.
    Null,
    /// A number, little-endian.
    Number(Vec<u8>),
    /// A text.
    Bytes(Vec<u8>),
    /// Elements, members or entries.
    Many(Vec<Value>),
}

/// Returns the rows of a batch.
pub(crate) fn rows(batch: &RecordBatch, types: &[Type]) -> Vec<Vec<Value>> {
    let columns: Vec<Vec<_>> = (batch.columns().iter().zip(types))
        .map(|(column, of)| values(column, of))
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect()
}

fn values(array: &ArrayRef, of: &Type) -> Vec<Value> {
    let mut values = match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let names = values(dictionary.values(), of);
            let keys = dictionary.keys().values().iter();
            keys.map(|key| names[usize::try_from(*key).unwrap()].clone())
                .collect()
        }
        _ => plain(array, of),
    };
    for (row, value) in values.iter_mut().enumerate() {
        if array.is_null(row) {
            *value = Value::Null;
        }
    }
    values
}

fn plain(array: &ArrayRef, of: &Type) -> Vec<Value> {
    match of {
        Type::Nullable(inner) => values(array, inner),
        Type::FixedString(_) => {
            let bytes = array.as_fixed_size_binary();
            (0..bytes.len())
                .map(|row| Value::Bytes(bytes.value(row).to_vec()))
                .collect()
        }
        Type::String => {
            let bytes = array.as_binary::<i32>();
            (0..bytes.len())
                .map(|row| Value::Bytes(bytes.value(row).to_vec()))
                .collect()
        }
        Type::Enum(..) | Type::Text("UUID" | "IPv4" | "IPv6", _) => texts(array).collect(),
        Type::Text(_, width) => {
            let texts = array.as_string::<i32>().iter();
            texts
                .map(|text| Value::Number(digits_to_bytes(text.unwrap_or("0"), *width)))
                .collect()
        }
        Type::Number(width) | Type::Time(width, _) => numbers(array, *width),
        Type::List(element) => {
            let list = array.as_list::<i32>();
            ranges(list.offsets(), &values(list.values(), element))
        }
        Type::Map(entry) => {
            let map = array.as_map();
            let entries = members(map.entries().columns(), &entry[..], map.entries().len());
            ranges(map.offsets(), &entries)
        }
        Type::Tuple(types) => members(array.as_struct().columns(), types, array.len()),
    }
}

fn texts(array: &ArrayRef) -> impl Iterator<Item = Value> {
    let texts = array.as_string::<i32>();
    (0..texts.len()).map(|row| Value::Bytes(texts.value(row).as_bytes().to_vec()))
}

/// The numbers of an array, cut or not to the width that they had: `Date` is wider in Arrow.
fn numbers(array: &ArrayRef, width: usize) -> Vec<Value> {
    let le: Vec<Vec<u8>> = match array.data_type() {
        DataType::Boolean => array
            .as_boolean()
            .values()
            .iter()
            .map(|each| vec![each.into()])
            .collect(),
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            values
                .iter()
                .map(|each| each.to_le_bytes().to_vec())
                .collect()
        }
        DataType::Decimal256(..) => {
            let values = array.as_primitive::<Decimal256Type>().values();
            values
                .iter()
                .map(|each| each.to_le_bytes().to_vec())
                .collect()
        }
        _ => {
            let data = array.to_data();
            let wide = data.data_type().primitive_width().unwrap();
            let start = data.offset() * wide;
            let bytes = &data.buffers()[0][start..start + array.len() * wide];
            bytes.chunks(wide).map(<[u8]>::to_vec).collect()
        }
    };
    le.into_iter()
        .map(|bytes| {
            let (kept, cut) = bytes.split_at(width);
            let fill = if kept[width - 1] & 0x80 == 0 { 0 } else { 0xff };
            let is_extended =
                cut.iter().all(|byte| *byte == fill) || cut.iter().all(|byte| *byte == 0);
            assert!(is_extended, "{bytes:?} is more than {width} bytes");
            Value::Number(kept.to_vec())
        })
        .collect()
}

fn members(columns: &[ArrayRef], types: &[Type], rows: usize) -> Vec<Value> {
    let columns: Vec<Vec<_>> = (columns.iter().zip(types))
        .map(|(each, of)| values(each, of))
        .collect();
    (0..rows)
        .map(|row| Value::Many(columns.iter().map(|column| column[row].clone()).collect()))
        .collect()
}

fn ranges(offsets: &[i32], values: &[Value]) -> Vec<Value> {
    let ends = offsets.windows(2);
    ends.map(|ends| {
        let [start, end] = [ends[0], ends[1]].map(|each| usize::try_from(each).unwrap());
        Value::Many(values[start..end].to_vec())
    })
    .collect()
}

/// Reads decimal digits to two's complement of so many bytes.
pub(crate) fn digits_to_bytes(text: &str, width: usize) -> Vec<u8> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut bytes = vec![0_u8; width];
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in &mut bytes {
            carry += u32::from(*byte) * 10;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert_eq!(carry, 0, "{text}");
    }
    if digits.len() < text.len() {
        let mut carry = true;
        for byte in &mut bytes {
            (*byte, carry) = (!*byte).overflowing_add(carry.into());
        }
    }
    bytes
}
