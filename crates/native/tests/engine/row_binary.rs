//! Rows from `RowBinary`, the engine's own form of values one by one.

use crate::types::Type;
use crate::values::{Value, digits_to_bytes};

/// Reads all rows of columns of these types.
pub(crate) fn rows(mut bytes: &[u8], types: &[Type]) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        rows.push(types.iter().map(|each| value(&mut bytes, each)).collect());
    }
    rows
}

fn value(bytes: &mut &[u8], of: &Type) -> Value {
    match of {
        Type::Number(width) => Value::Number(take(bytes, *width).to_vec()),
        Type::Time(width, factor) => {
            let number = integer(take(bytes, *width)) * factor;
            Value::Number(i64::try_from(number).unwrap().to_le_bytes().to_vec())
        }
        Type::String => {
            let length = length(bytes);
            Value::Bytes(take(bytes, length).to_vec())
        }
        Type::FixedString(width) => Value::Bytes(take(bytes, *width).to_vec()),
        Type::Text(name, width) => text(name, take(bytes, *width)),
        Type::Enum(width, names) => {
            let number = integer(take(bytes, *width));
            let name = names.iter().find(|(each, _)| *each == number).unwrap();
            Value::Bytes(name.1.clone().into_bytes())
        }
        Type::Nullable(inner) => match take(bytes, 1) {
            [0] => value(bytes, inner),
            _ => Value::Null,
        },
        Type::List(element) => {
            let length = length(bytes);
            Value::Many((0..length).map(|_| value(bytes, element)).collect())
        }
        Type::Map(entry) => {
            let length = length(bytes);
            let entries = (0..length).map(|_| {
                let members = entry.iter().map(|each| value(bytes, each));
                Value::Many(members.collect())
            });
            Value::Many(entries.collect())
        }
        Type::Tuple(members) => {
            Value::Many(members.iter().map(|each| value(bytes, each)).collect())
        }
    }
}

/// Addresses and UUIDs have one text; wide numbers are compared the other way round.
fn text(name: &str, bytes: &[u8]) -> Value {
    let text = match name {
        "UUID" => {
            let half = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
            uuid::Uuid::from_u64_pair(half(&bytes[..8]), half(&bytes[8..])).to_string()
        }
        "IPv4" => {
            let address: [u8; 4] = bytes.try_into().unwrap();
            std::net::Ipv4Addr::from(u32::from_le_bytes(address)).to_string()
        }
        "IPv6" => {
            let address: [u8; 16] = bytes.try_into().unwrap();
            std::net::Ipv6Addr::from(address).to_string()
        }
        _ => return Value::Number(bytes.to_vec()),
    };
    Value::Bytes(text.into_bytes())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn length(bytes: &mut &[u8]) -> usize {
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = take(bytes, 1)[0];
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return length;
        }
    }
}

fn integer(bytes: &[u8]) -> i128 {
    let fill = if bytes.last().unwrap() & 0x80 == 0 {
        0
    } else {
        0xff
    };
    let mut wide = [fill; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    i128::from_le_bytes(wide)
}

#[test]
fn digits_are_read_as_they_should() {
    assert_eq!(digits_to_bytes("-2", 16), (-2_i128).to_le_bytes());
    let number = 10_u128.pow(38) + 7;
    assert_eq!(
        digits_to_bytes(&number.to_string(), 16),
        number.to_le_bytes()
    );
}
