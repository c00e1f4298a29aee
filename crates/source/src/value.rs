//! The values of a filter, read as the type of the field that they are compared with.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use domain::Scalar as Posted;
use regex::Regex;
use uuid::Uuid;

use crate::column_type::Scalar;

/// A value as it is bound to a parameter of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Text, and what ClickHouse reads from text: times, dates, UUIDs and addresses.
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
        }
    }
}

impl Value {
    /// Makes the text that ClickHouse reads as a `DateTime64(9, 'UTC')`.
    pub(crate) fn time(time: DateTime<Utc>) -> Self {
        Self::Text(time.format("%Y-%m-%d %H:%M:%S%.9f").to_string())
    }
}

/// Reads a posted value as a type, or says what it must be.
pub(crate) fn parse(posted: &Posted, scalar: Scalar) -> Result<Value, String> {
    match scalar {
        Scalar::String | Scalar::Enum => text(posted).map(Value::Text).ok_or("must be a text"),
        Scalar::Bool => match posted {
            Posted::Bool(truth) => Ok(Value::Bool(*truth)),
            _ => Err("must be true or false"),
        },
        Scalar::Float32 | Scalar::Float64 => {
            number(posted, |n| n.as_f64().map(Value::Float)).ok_or("must be a number")
        }
        Scalar::Uuid => from_text(posted, |text| text.parse::<Uuid>().ok()).ok_or("must be a UUID"),
        Scalar::Ipv4 => {
            from_text(posted, |text| text.parse::<Ipv4Addr>().ok()).ok_or("must be an IPv4 address")
        }
        Scalar::Ipv6 => {
            from_text(posted, |text| text.parse::<Ipv6Addr>().ok()).ok_or("must be an IPv6 address")
        }
        Scalar::Date => from_text(posted, |text| {
            text.parse().ok().filter(|day| in_range(*day))
        })
        .ok_or("must be a date, such as 2026-01-31"),
        Scalar::Timestamp => text(posted)
            .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
            .map(|time| time.to_utc())
            .filter(|time| in_range(time.date_naive()))
            .map(Value::time)
            .ok_or("must be an RFC 3339 time with a zone, such as 2026-01-01T00:00:00Z"),
        Scalar::Int8 => return signed(posted, i8::MIN.into(), i8::MAX.into()),
        Scalar::Int16 => return signed(posted, i16::MIN.into(), i16::MAX.into()),
        Scalar::Int32 => return signed(posted, i32::MIN.into(), i32::MAX.into()),
        Scalar::Int64 => return signed(posted, i64::MIN, i64::MAX),
        Scalar::UInt8 => return unsigned(posted, u8::MAX.into()),
        Scalar::UInt16 => return unsigned(posted, u16::MAX.into()),
        Scalar::UInt32 => return unsigned(posted, u32::MAX.into()),
        Scalar::UInt64 => return unsigned(posted, u64::MAX),
    }
    .map_err(str::to_owned)
}

/// Reads a regular expression.
///
/// ClickHouse has RE2. Its syntax is that of the `regex` crate but for corners, so what this
/// refuses is said at once, and nearly nothing is left for the engine to refuse later.
pub(crate) fn pattern(posted: &Posted) -> Result<Value, String> {
    let text = text(posted).ok_or("must be a text")?;
    match Regex::new(&text) {
        Ok(_) => Ok(Value::Text(text)),
        Err(_) => Err("must be a regular expression in RE2 syntax".to_owned()),
    }
}

/// Says whether ClickHouse's `DateTime64(9)` can hold any time of a day.
fn in_range(day: NaiveDate) -> bool {
    (1900..2262).contains(&day.year())
}

fn signed(posted: &Posted, min: i64, max: i64) -> Result<Value, String> {
    number(posted, serde_json::Number::as_i64)
        .filter(|value| (min..=max).contains(value))
        .map(Value::Signed)
        .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

fn unsigned(posted: &Posted, max: u64) -> Result<Value, String> {
    number(posted, serde_json::Number::as_u64)
        .filter(|value| *value <= max)
        .map(Value::Unsigned)
        .ok_or_else(|| format!("must be a whole number from 0 to {max}"))
}

fn number<T>(posted: &Posted, read: impl Fn(&serde_json::Number) -> Option<T>) -> Option<T> {
    match posted {
        Posted::Number(number) => read(number),
        _ => None,
    }
}

fn text(posted: &Posted) -> Option<String> {
    match posted {
        Posted::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// Reads a value from text and writes it in its usual form.
fn from_text<T: ToString>(posted: &Posted, read: impl Fn(&str) -> Option<T>) -> Option<Value> {
    let text = text(posted)?;
    read(&text).map(|value| Value::Text(value.to_string()))
}

#[cfg(test)]
mod tests {
    use domain::Scalar as Posted;
    use serde_json::Number;

    use super::{Value, parse, pattern};
    use crate::column_type::Scalar;

    fn text(text: &str) -> Posted {
        Posted::Text(text.to_owned())
    }

    #[test]
    fn values_take_the_type_of_the_field() {
        let time = parse(
            &text("2026-01-01T02:00:00.123456789+02:00"),
            Scalar::Timestamp,
        );
        assert_eq!(
            time,
            Ok(Value::Text("2026-01-01 00:00:00.123456789".to_owned()))
        );
        let largest = parse(&Posted::Number(u64::MAX.into()), Scalar::UInt64);
        assert_eq!(largest, Ok(Value::Unsigned(u64::MAX)));
        let uuid = parse(&text("61F0C404-5CB3-11E7-907B-A6006AD3DBA0"), Scalar::Uuid);
        assert_eq!(
            uuid,
            Ok(Value::Text(
                "61f0c404-5cb3-11e7-907b-a6006ad3dba0".to_owned()
            ))
        );
        assert_eq!(
            parse(&text("::0001"), Scalar::Ipv6),
            Ok(Value::Text("::1".to_owned()))
        );
    }

    #[test]
    fn other_values_are_refused_with_what_they_must_be() {
        let half = Posted::Number(Number::from_f64(0.5).unwrap());
        for (posted, scalar, detail) in [
            (
                text("17"),
                Scalar::UInt8,
                "must be a whole number from 0 to 255",
            ),
            (
                Posted::Number(256.into()),
                Scalar::UInt8,
                "must be a whole number from 0 to 255",
            ),
            (
                Posted::Number((-1).into()),
                Scalar::UInt8,
                "must be a whole number from 0 to 255",
            ),
            (
                Posted::Number(128.into()),
                Scalar::Int8,
                "must be a whole number from -128 to 127",
            ),
            (
                half,
                Scalar::Int8,
                "must be a whole number from -128 to 127",
            ),
            (Posted::Bool(true), Scalar::String, "must be a text"),
            (text("true"), Scalar::Bool, "must be true or false"),
            (text("1"), Scalar::Float64, "must be a number"),
            (text("x"), Scalar::Uuid, "must be a UUID"),
            (text("1.2.3"), Scalar::Ipv4, "must be an IPv4 address"),
            (text("1.2.3.4"), Scalar::Ipv6, "must be an IPv6 address"),
            (
                text("2026-02-30"),
                Scalar::Date,
                "must be a date, such as 2026-01-31",
            ),
        ] {
            assert_eq!(parse(&posted, scalar), Err(detail.to_owned()), "{posted:?}");
        }
        for wrong in ["2026-01-01T00:00:00", "2026-01-01", "9999-01-01T00:00:00Z"] {
            assert!(parse(&text(wrong), Scalar::Timestamp).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_are_those_of_re2() {
        assert!(pattern(&text(r"(?i)^GET /api/\d+$")).is_ok());
        for wrong in ["(", r"(a)\1", "(?=a)"] {
            assert!(pattern(&text(wrong)).is_err(), "{wrong}");
        }
    }
}
