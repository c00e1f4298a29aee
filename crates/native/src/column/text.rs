//! Values that Arrow has no type for, as the text that ClickHouse shows.

use std::fmt::Display;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};

use crate::error::ColumnError;

/// Makes an array of texts, empty ones in place of NULL.
pub(super) fn array<E: Copy>(
    values: &[E],
    nulls: Option<NullBuffer>,
    write: impl Fn(E, &mut Vec<u8>),
) -> Result<ArrayRef, ColumnError> {
    let mut texts = Vec::new();
    let mut offsets = Vec::with_capacity(values.len() + 1);
    offsets.push(0);
    for (row, value) in values.iter().enumerate() {
        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            write(*value, &mut texts);
        }
        offsets.push(i32::try_from(texts.len()).map_err(|_| ColumnError::TooLarge("bytes"))?);
    }
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(StringArray::try_new(
        offsets,
        texts.into(),
        nulls,
    )?))
}

pub(super) fn display(text: &mut Vec<u8>, value: impl Display) {
    write!(text, "{value}").expect("a vector takes everything");
}

/// Writes a `UUID`: two numbers of 64 bits, the higher one first, each little-endian.
pub(super) fn uuid(text: &mut Vec<u8>, bytes: [u8; 16]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (high, low) = bytes.split_at(8);
    let bytes = high.iter().rev().chain(low.iter().rev());
    for (place, byte) in bytes.enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

pub(super) fn ipv4(text: &mut Vec<u8>, value: u32) {
    display(text, Ipv4Addr::from(value));
}

/// Writes an `IPv6`, as `inet_ntop` does it: with an IPv4 address behind six times zero, too.
pub(super) fn ipv6(text: &mut Vec<u8>, bytes: [u8; 16]) {
    let address = Ipv6Addr::from(bytes);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = bytes;
            text.extend_from_slice(b"::");
            display(text, Ipv4Addr::new(a, b, c, d));
        }
        _ => display(text, address),
    }
}

/// Writes a `Time` or `Time64`: `[-]HH:MM:SS[.fraction]`, with as many hours as there are.
pub(super) fn time(text: &mut Vec<u8>, ticks: i64, precision: u8) {
    let second = 10_u64.pow(precision.into());
    let (seconds, fraction) = (ticks.unsigned_abs() / second, ticks.unsigned_abs() % second);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let sign = if ticks < 0 { "-" } else { "" };
    display(
        text,
        format_args!("{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60),
    );
    if precision > 0 {
        let places = usize::from(precision);
        display(text, format_args!(".{fraction:0places$}"));
    }
}

/// Writes an `Int256`, little-endian in two's complement.
pub(super) fn signed256(text: &mut Vec<u8>, bytes: [u8; 32]) {
    if bytes[31] < 0x80 {
        return unsigned256(text, bytes);
    }
    text.push(b'-');
    let mut carry = true;
    let negated = bytes.map(|byte| {
        let (byte, carries) = (!byte).overflowing_add(carry.into());
        carry = carries;
        byte
    });
    unsigned256(text, negated);
}

/// Writes a `UInt256`, little-endian: groups of 19 digits by long division.
pub(super) fn unsigned256(text: &mut Vec<u8>, bytes: [u8; 32]) {
    const GROUP: u128 = 10_u128.pow(19);
    let (limbs, _) = bytes.as_chunks::<8>();
    let mut limbs: Vec<_> = limbs
        .iter()
        .rev()
        .map(|limb| u64::from_le_bytes(*limb))
        .collect();
    let mut groups = Vec::with_capacity(5);
    while groups.is_empty() || limbs.iter().any(|limb| *limb > 0) {
        let mut remainder = 0;
        for limb in &mut limbs {
            let dividend = remainder << 64 | u128::from(*limb);
            *limb = u64::try_from(dividend / GROUP).expect("the remainder is below the divisor");
            remainder = dividend % GROUP;
        }
        groups.push(remainder);
    }
    let mut groups = groups.into_iter().rev();
    display(text, groups.next().unwrap_or(0));
    for group in groups {
        display(text, format_args!("{group:019}"));
    }
}
