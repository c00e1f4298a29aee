//! Values whose text needs no escaping: numbers, booleans, times and bytes.

use arrow::array::{BinaryArray, FixedSizeBinaryArray};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::TimeUnit;

use crate::time::{write_date, write_timestamp};

/// Integers, decimals and booleans: JSON literals, and the same text in CSV.
pub(crate) enum Number {
    Boolean(BooleanBuffer),
    Int8(ScalarBuffer<i8>),
    Int16(ScalarBuffer<i16>),
    Int32(ScalarBuffer<i32>),
    Int64(ScalarBuffer<i64>),
    UInt8(ScalarBuffer<u8>),
    UInt16(ScalarBuffer<u16>),
    UInt32(ScalarBuffer<u32>),
    UInt64(ScalarBuffer<u64>),
    Decimal {
        unscaled: ScalarBuffer<i128>,
        scale: i8,
    },
}

impl Number {
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Boolean(values) => {
                let truth: &[u8] = if values.value(row) { b"true" } else { b"false" };
                out.extend_from_slice(truth);
            }
            Self::Int8(values) => write_integer(values[row], out),
            Self::Int16(values) => write_integer(values[row], out),
            Self::Int32(values) => write_integer(values[row], out),
            Self::Int64(values) => write_integer(values[row], out),
            Self::UInt8(values) => write_integer(values[row], out),
            Self::UInt16(values) => write_integer(values[row], out),
            Self::UInt32(values) => write_integer(values[row], out),
            Self::UInt64(values) => write_integer(values[row], out),
            Self::Decimal { unscaled, scale } => write_decimal(unscaled[row], *scale, out),
        }
    }
}

/// Floating-point numbers.
pub(crate) enum Float {
    Float32(ScalarBuffer<f32>),
    Float64(ScalarBuffer<f64>),
}

/// How a float that is no number is written.
#[derive(Clone, Copy)]
pub(crate) enum NonFinite {
    /// `NaN`, `Infinity` or `-Infinity`.
    Named,
    /// `null`, since JSON has no word for it.
    Null,
}

impl Float {
    pub(crate) fn write(&self, row: usize, non_finite: NonFinite, out: &mut Vec<u8>) {
        match self {
            Self::Float32(values) => write_float(values[row], non_finite, out),
            Self::Float64(values) => write_float(values[row], non_finite, out),
        }
    }
}

/// Times and bytes: strings in JSON, without anything in them to escape.
pub(crate) enum Plain {
    Timestamp {
        values: ScalarBuffer<i64>,
        unit: TimeUnit,
    },
    Date(ScalarBuffer<i32>),
    Binary(BinaryArray),
    FixedSizeBinary(FixedSizeBinaryArray),
}

impl Plain {
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Timestamp { values, unit } => write_timestamp(values[row], *unit, out),
            Self::Date(values) => write_date(i64::from(values[row]), out),
            Self::Binary(values) => write_hex(values.value(row), out),
            Self::FixedSizeBinary(values) => write_hex(values.value(row), out),
        }
    }
}

fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn write_float<F: zmij::Float + Into<f64> + Copy>(
    value: F,
    non_finite: NonFinite,
    out: &mut Vec<u8>,
) {
    let double: f64 = value.into();
    let name: &[u8] = match non_finite {
        _ if double.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
            return;
        }
        NonFinite::Null => b"null",
        NonFinite::Named if double.is_nan() => b"NaN",
        NonFinite::Named if double > 0.0 => b"Infinity",
        NonFinite::Named => b"-Infinity",
    };
    out.extend_from_slice(name);
}

/// Writes `unscaled` / 10^`scale` with all of its digits.
fn write_decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits);
        if unscaled != 0 {
            out.extend(std::iter::repeat_n(b'0', places));
        }
    } else if let Some(whole @ 1..) = digits.len().checked_sub(places) {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', places - digits.len()));
        out.extend_from_slice(digits);
    }
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Decimal128Array;
    use proptest::prelude::*;

    use super::{NonFinite, write_decimal, write_float, write_hex};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_that_are_no_numbers() {
        let named = |value: f64| text(|out| write_float(value, NonFinite::Named, out));
        assert_eq!(named(f64::NAN), "NaN");
        assert_eq!(named(f64::INFINITY), "Infinity");
        assert_eq!(named(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(
            text(|out| write_float(f32::NAN, NonFinite::Null, out)),
            "null"
        );
    }

    #[test]
    fn a_float_of_32_bits_keeps_its_own_digits() {
        assert_eq!(
            text(|out| write_float(0.1_f32, NonFinite::Named, out)),
            "0.1"
        );
        assert_eq!(
            text(|out| write_float(-0.0_f64, NonFinite::Named, out)),
            "-0.0"
        );
    }

    #[test]
    fn decimals() {
        let decimal = |unscaled, scale| text(|out| write_decimal(unscaled, scale, out));
        assert_eq!(decimal(12_345, 2), "123.45");
        assert_eq!(decimal(-5, 3), "-0.005");
        assert_eq!(decimal(5, 1), "0.5");
        assert_eq!(decimal(7, 0), "7");
        assert_eq!(decimal(7, -2), "700");
        assert_eq!(decimal(0, -2), "0");
        assert_eq!(
            decimal(i128::MIN, 38),
            "-1.70141183460469231731687303715884105728"
        );
    }

    #[test]
    fn bytes_are_hexadecimal() {
        assert_eq!(text(|out| write_hex(&[0, 0x0f, 0xff], out)), "000fff");
    }

    proptest! {
        #[test]
        fn floats_read_back(value: f64) {
            prop_assume!(value.is_finite());
            let written = text(|out| write_float(value, NonFinite::Named, out));
            prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }

        #[test]
        fn decimals_are_as_arrow_writes_them(unscaled in -99_999_999_999_i128..99_999_999_999, scale in 0_i8..11) {
            let array = Decimal128Array::from(vec![unscaled]).with_precision_and_scale(11, scale).unwrap();
            prop_assert_eq!(text(|out| write_decimal(unscaled, scale, out)), array.value_as_string(0));
        }
    }
}
