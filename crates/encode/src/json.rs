//! Rows and values as JSON, RFC 8259.

use std::cell::OnceCell;
use std::ops::Range;

use arrow::array::StringArray;
use arrow::datatypes::{ArrowNativeType as _, Schema};

use crate::column::{Column, Values, range};
use crate::scalar::NonFinite;
use crate::written::{Strings, Written};

/// How a quotation mark is written.
pub(crate) trait Quotes {
    /// The mark.
    const MARK: &'static [u8];

    /// Returns the place for strings with this mark.
    fn of(written: &Written) -> &OnceCell<Strings>;
}

/// As it is.
pub(crate) struct Bare;

impl Quotes for Bare {
    const MARK: &'static [u8] = b"\"";

    fn of(written: &Written) -> &OnceCell<Strings> {
        &written.json
    }
}

/// Twice, inside of a quoted CSV cell.
pub(crate) struct Doubled;

impl Quotes for Doubled {
    const MARK: &'static [u8] = b"\"\"";

    fn of(written: &Written) -> &OnceCell<Strings> {
        &written.quoted_json
    }
}

/// Writes rows as objects with their members in the order of the columns.
pub(crate) struct JsonRows {
    /// For each column its name with a colon behind it, and a comma in front if it is not the first.
    names: Vec<Vec<u8>>,
    /// What ends a row.
    end: &'static [u8],
}

impl JsonRows {
    pub(crate) fn new(schema: &Schema, end: &'static [u8]) -> Self {
        let names = schema.fields().iter().enumerate().map(|(index, field)| {
            let mut name = if index > 0 { vec![b','] } else { Vec::new() };
            write_string::<Bare>(field.name(), &mut name);
            name.push(b':');
            name
        });
        Self {
            names: names.collect(),
            end,
        }
    }

    pub(crate) fn write_row(&self, columns: &[Column], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (name, column) in self.names.iter().zip(columns) {
            out.extend_from_slice(name);
            write_value::<Bare>(column, row, out);
        }
        out.push(b'}');
        out.extend_from_slice(self.end);
    }
}

/// Writes the value of a row, or `null`.
pub(crate) fn write_value<Q: Quotes>(column: &Column, row: usize, out: &mut Vec<u8>) {
    match column.get(row) {
        Some(values) => write_present::<Q>(values, row, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Writes the value of a row that is not NULL.
pub(crate) fn write_present<Q: Quotes>(values: &Values, row: usize, out: &mut Vec<u8>) {
    match values {
        Values::Number(numbers) => numbers.write(row, out),
        Values::Float(floats) => floats.write(row, NonFinite::Null, out),
        Values::Plain(plain) => {
            out.extend_from_slice(Q::MARK);
            plain.write(row, out);
            out.extend_from_slice(Q::MARK);
        }
        Values::Text(text) => text.write_json::<Q>(row, out),
        Values::Json(text) => write_json::<Q>(text.value(row), out),
        Values::List { offsets, items } => {
            separated(b'[', b']', range(offsets, row), out, |item, out| {
                write_value::<Q>(items, item, out);
            });
        }
        Values::Map {
            offsets,
            keys,
            values,
        } => {
            let entries = range(offsets, row);
            let plain = values.as_texts();
            let plain = plain.filter(|texts| are_plain(texts, &entries));
            separated(b'{', b'}', entries, out, |entry, out| {
                keys.write_json::<Q>(entry, out);
                out.push(b':');
                match plain {
                    Some(texts) => {
                        out.extend_from_slice(Q::MARK);
                        out.extend_from_slice(texts.value(entry).as_bytes());
                        out.extend_from_slice(Q::MARK);
                    }
                    None => write_value::<Q>(values, entry, out),
                }
            });
        }
        Values::Struct(fields) => {
            separated(b'{', b'}', fields, out, |(name, column), out| {
                write_string::<Q>(name, out);
                out.push(b':');
                write_value::<Q>(column, row, out);
            });
        }
    }
}

/// Writes a text that is JSON.
fn write_json<Q: Quotes>(json: &str, out: &mut Vec<u8>) {
    for (number, part) in json.split('"').enumerate() {
        if number > 0 {
            out.extend_from_slice(Q::MARK);
        }
        out.extend_from_slice(part.as_bytes());
    }
}

/// Tells whether nothing in some texts needs to be escaped. They are looked at as one, since most are short.
fn are_plain(texts: &StringArray, which: &Range<usize>) -> bool {
    let offsets = texts.value_offsets();
    let [start, end] = [which.start, which.end].map(|text| offsets[text].as_usize());
    !must_escape(&texts.value_data()[start..end])
}

fn separated<T>(
    open: u8,
    close: u8,
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(close);
}

pub(crate) fn write_string<Q: Quotes>(text: &str, out: &mut Vec<u8>) {
    let text = text.as_bytes();
    out.extend_from_slice(Q::MARK);
    if must_escape(text) {
        write_escaped::<Q>(text, out);
    } else {
        out.extend_from_slice(text);
    }
    out.extend_from_slice(Q::MARK);
}

fn must_escape(text: &[u8]) -> bool {
    // Without a way out of the loop the compiler looks at many bytes at once.
    text.iter()
        .fold(false, |found, byte| found | is_escaped(*byte))
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escaped<Q: Quotes>(text: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        let byte = rest[at];
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        match byte {
            b'"' => out.extend_from_slice(Q::MARK),
            b'\\' => out.push(b'\\'),
            b'\n' => out.push(b'n'),
            b'\r' => out.push(b'r'),
            b'\t' => out.push(b't'),
            0x08 => out.push(b'b'),
            0x0c => out.push(b'f'),
            control => {
                out.extend_from_slice(b"u00");
                out.push(DIGITS[usize::from(control >> 4)]);
                out.push(DIGITS[usize::from(control & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Bare, Doubled, write_json, write_string};

    #[test]
    fn json_is_written_as_it_is() {
        let json = r#"[1,"\"x",{"k":true}]"#;
        let mut out = Vec::new();
        write_json::<Bare>(json, &mut out);
        assert_eq!(out, json.as_bytes());

        let mut out = Vec::new();
        write_json::<Doubled>(json, &mut out);
        assert_eq!(out, json.replace('"', "\"\"").as_bytes());
    }

    proptest! {
        #[test]
        fn strings_are_as_serde_json_writes_them(text in r#"[\x00-\x7f"\\é😀]{0,40}"#) {
            let mut out = Vec::new();
            write_string::<Bare>(&text, &mut out);
            let written = String::from_utf8(out).unwrap();
            prop_assert_eq!(&written, &serde_json::to_string(&text).unwrap());

            let mut out = Vec::new();
            write_string::<Doubled>(&text, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), written.replace('"', "\"\""));
        }
    }
}
