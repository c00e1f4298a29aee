//! Which array the values of each type of fixed width make.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, NullArray, PrimitiveArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use crate::column::fixed::{Element, Fixed};
use crate::column::{Column, text, times};
use crate::error::ColumnError;
use crate::types::Type;

/// Makes the reader of a type whose values are numbers or of a fixed width.
pub(super) fn reader(of: &Type) -> Box<dyn Column> {
    match of {
        Type::Int8 => plain::<Int8Type, 1>(),
        Type::Int16 => plain::<Int16Type, 2>(),
        Type::Int32 => plain::<Int32Type, 4>(),
        Type::Int64 => plain::<Int64Type, 8>(),
        Type::UInt8 => plain::<UInt8Type, 1>(),
        Type::UInt16 => plain::<UInt16Type, 2>(),
        Type::UInt32 => plain::<UInt32Type, 4>(),
        Type::UInt64 => plain::<UInt64Type, 8>(),
        Type::Float32 => plain::<Float32Type, 4>(),
        Type::Float64 => plain::<Float64Type, 8>(),
        Type::Date32 => plain::<Date32Type, 4>(),
        Type::Date => widened::<Date32Type, u16, 2>(i32::from),
        Type::BFloat16 => {
            widened::<Float32Type, u16, 2>(|half| f32::from_bits(u32::from(half) << 16))
        }
        Type::Bool => fixed(|values: Vec<u8>, nulls| {
            let values = BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0);
            Ok(Arc::new(BooleanArray::new(values, nulls)))
        }),
        Type::DateTime { zone } => {
            let zone = Arc::clone(zone);
            fixed(move |values: Vec<u32>, nulls| times::seconds(&values, nulls, &zone))
        }
        Type::DateTime64 { precision, zone } => {
            let (precision, zone) = (*precision, Arc::clone(zone));
            fixed(move |values, nulls| times::ticks(values, nulls, precision, &zone))
        }
        Type::Decimal { precision, .. } => decimals(*precision, of.arrow()),
        Type::Time => texts(|value: i32, text| text::time(text, value.into(), 0)),
        Type::Time64 { precision } => {
            let precision = *precision;
            texts(move |value: i64, text| text::time(text, value, precision))
        }
        Type::Int128 => texts(|value: i128, text| text::display(text, value)),
        Type::UInt128 => texts(|value: u128, text| text::display(text, value)),
        Type::Int256 => texts(|value: [u8; 32], text| text::signed256(text, value)),
        Type::UInt256 => texts(|value: [u8; 32], text| text::unsigned256(text, value)),
        Type::Uuid => texts(|value: [u8; 16], text| text::uuid(text, value)),
        Type::Ipv4 => texts(|value: u32, text| text::ipv4(text, value)),
        Type::Ipv6 => texts(|value: [u8; 16], text| text::ipv6(text, value)),
        // A byte for each that says nothing.
        Type::Nothing => fixed(|values: Vec<u8>, _| Ok(Arc::new(NullArray::new(values.len())))),
        other => unreachable!("{other:?} has a reader of its own"),
    }
}

/// Makes a reader of values of a fixed width.
pub(super) fn fixed<E: Element<WIDTH> + 'static, const WIDTH: usize>(
    make: impl Fn(Vec<E>, Option<NullBuffer>) -> Result<ArrayRef, ColumnError> + Send + 'static,
) -> Box<dyn Column> {
    Box::new(Fixed::new(make))
}

fn plain<T: ArrowPrimitiveType, const WIDTH: usize>() -> Box<dyn Column>
where
    T::Native: Element<WIDTH>,
{
    fixed(|values: Vec<T::Native>, nulls| primitive::<T>(values, nulls))
}

fn widened<T: ArrowPrimitiveType, E: Element<WIDTH> + 'static, const WIDTH: usize>(
    widen: fn(E) -> T::Native,
) -> Box<dyn Column> {
    fixed(move |values: Vec<E>, nulls| {
        primitive::<T>(values.into_iter().map(widen).collect(), nulls)
    })
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ColumnError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(
        values.into(),
        nulls,
    )?))
}

fn texts<E: Element<WIDTH> + 'static, const WIDTH: usize>(
    write: impl Fn(E, &mut Vec<u8>) + Send + 'static,
) -> Box<dyn Column> {
    fixed(move |values: Vec<E>, nulls| text::array(&values, nulls, &write))
}

/// Makes a reader of decimals. ClickHouse has four widths, this crate two.
fn decimals(precision: u8, data_type: DataType) -> Box<dyn Column> {
    let narrow =
        |values: Vec<i128>, nulls, data_type: &DataType| -> Result<ArrayRef, ColumnError> {
            let array = Decimal128Array::try_new(values.into(), nulls)?;
            Ok(Arc::new(array.with_data_type(data_type.clone())))
        };
    match precision {
        0..=9 => fixed(move |values: Vec<i32>, nulls| narrow(widen(&values), nulls, &data_type)),
        10..=18 => fixed(move |values: Vec<i64>, nulls| narrow(widen(&values), nulls, &data_type)),
        19..=38 => fixed(move |values, nulls| narrow(values, nulls, &data_type)),
        _ => fixed(move |values: Vec<i256>, nulls| {
            let array = Decimal256Array::try_new(values.into(), nulls)?;
            Ok(Arc::new(array.with_data_type(data_type.clone())))
        }),
    }
}

fn widen<E: Copy + Into<i128>>(values: &[E]) -> Vec<i128> {
    values.iter().map(|value| (*value).into()).collect()
}
