//! Parameters of queries, as ClickHouse's HTTP interface takes them.

use std::fmt::{self, Write as _};

use crate::value::Value;

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parameter {
    One(Value),
    Many(Vec<Value>),
}

/// As the HTTP interface takes it: one value as in `TabSeparated`, several as an array.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(Value::Text(text)) => f.write_str(&escaped(text)),
            Self::One(value) => value.fmt(f),
            Self::Many(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    match value {
                        Value::Text(text) => write!(f, "'{}'", escaped(text))?,
                        value => value.fmt(f)?,
                    }
                }
                f.write_char(']')
            }
        }
    }
}

/// The most bytes of a parameter in one field of a form. A server takes 131,072 by default
/// (`http_max_field_value_size`).
pub(crate) const FIELD_BYTES: usize = 100_000;

/// Returns the bytes of a field that a value takes, in a list or by itself.
pub(crate) fn field_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => escaped(text).len() + "'',".len(),
        value => value.to_string().len() + 1,
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\\' | '\'' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}
