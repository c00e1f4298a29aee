//! Times in the units that Arrow has.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, PrimitiveArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowTimestampType, TimeUnit};

use crate::error::ColumnError;
use crate::types;

/// Makes an array of `DateTime`.
pub(super) fn seconds(
    values: &[u32],
    nulls: Option<NullBuffer>,
    zone: &Arc<str>,
) -> Result<ArrayRef, ColumnError> {
    let values: Vec<_> = values.iter().map(|value| i64::from(*value)).collect();
    let array = TimestampSecondArray::try_new(values.into(), nulls)?;
    Ok(Arc::new(array.with_timezone(Arc::clone(zone))))
}

/// Makes an array of `DateTime64`, in the next finer unit where Arrow has not the same.
pub(super) fn ticks(
    mut values: Vec<i64>,
    nulls: Option<NullBuffer>,
    precision: u8,
    zone: &Arc<str>,
) -> Result<ArrayRef, ColumnError> {
    let unit = types::unit(precision);
    let (places, name) = match unit {
        TimeUnit::Second => (0, "second"),
        TimeUnit::Millisecond => (3, "millisecond"),
        TimeUnit::Microsecond => (6, "microsecond"),
        TimeUnit::Nanosecond => (9, "nanosecond"),
    };
    let factor = 10_i64.pow(places - u32::from(precision));
    if factor > 1 {
        scale(&mut values, nulls.as_ref(), factor).ok_or(ColumnError::Time(name))?;
    }
    let values = values.into();
    Ok(match unit {
        TimeUnit::Second => timestamps(TimestampSecondArray::try_new(values, nulls)?, zone),
        TimeUnit::Millisecond => {
            timestamps(TimestampMillisecondArray::try_new(values, nulls)?, zone)
        }
        TimeUnit::Microsecond => {
            timestamps(TimestampMicrosecondArray::try_new(values, nulls)?, zone)
        }
        TimeUnit::Nanosecond => timestamps(TimestampNanosecondArray::try_new(values, nulls)?, zone),
    })
}

fn timestamps<T: ArrowTimestampType>(array: PrimitiveArray<T>, zone: &Arc<str>) -> ArrayRef {
    Arc::new(array.with_timezone(Arc::clone(zone)))
}

/// Multiplies; nothing if a product is too great that is not at the place of a NULL.
fn scale(values: &mut [i64], nulls: Option<&NullBuffer>, factor: i64) -> Option<()> {
    for (row, value) in values.iter_mut().enumerate() {
        *value = match value.checked_mul(factor) {
            Some(scaled) => scaled,
            None if nulls.is_some_and(|nulls| nulls.is_null(row)) => 0,
            None => return None,
        };
    }
    Some(())
}
