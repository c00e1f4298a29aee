//! Rows as CSV, RFC 4180.
//!
//! Lines end with CRLF, as the RFC has it and every reader accepts. A cell is quoted when it holds
//! the delimiter, a quote or a line break, or when it would read as NULL: NULL itself is never
//! quoted, so readers that look at the quotes tell an empty text from NULL even if the NULL text
//! is empty. Maps, lists and structs are JSON, always in quotes.

use arrow::datatypes::Schema;
use domain::CsvOptions;

use crate::column::{Column, Values};
use crate::json::{Doubled, write_present};
use crate::scalar::NonFinite;

/// Writes rows as lines.
pub(crate) struct CsvRows {
    delimiter: u8,
    null: Vec<u8>,
    escape_formulas: bool,
    /// Whether the delimiter is a character that numbers or times have.
    delimiter_in_scalars: bool,
}

impl CsvRows {
    pub(crate) fn new(options: &CsvOptions) -> Self {
        let delimiter = options.delimiter;
        Self {
            delimiter,
            null: options.null.clone().into_bytes(),
            escape_formulas: options.escape_formulas,
            delimiter_in_scalars: delimiter.is_ascii_alphanumeric() || b"+-.:".contains(&delimiter),
        }
    }

    /// Returns the line of the columns' names.
    pub(crate) fn header(&self, schema: &Schema) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            self.write_text(field.name().as_bytes(), &mut out);
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    pub(crate) fn write_row(&self, columns: &[Column], row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            match column.get(row) {
                Some(values) => self.write_cell(values, row, out),
                None => self.write_null(out),
            }
        }
        // The only cell of the line is an empty NULL: readers would skip an empty line.
        if out.len() == start {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(b"\r\n");
    }

    fn write_cell(&self, values: &Values, row: usize, out: &mut Vec<u8>) {
        match values {
            Values::Text(text) => {
                let write = |text: &str, out: &mut Vec<u8>| self.write_text_cell(text, out);
                text.write(row, |written| &written.csv, write, out);
            }
            Values::Number(numbers) => self.write_scalar(out, |out| numbers.write(row, out)),
            Values::Float(floats) => {
                self.write_scalar(out, |out| floats.write(row, NonFinite::Named, out));
            }
            Values::Plain(plain) => self.write_scalar(out, |out| plain.write(row, out)),
            Values::Json(_) | Values::List { .. } | Values::Map { .. } | Values::Struct(_) => {
                out.push(b'"');
                write_present::<Doubled>(values, row, out);
                out.push(b'"');
            }
        }
    }

    fn write_text_cell(&self, text: &str, out: &mut Vec<u8>) {
        let text = text.as_bytes();
        if self.escape_formulas && begins_formula(text) {
            out.extend_from_slice(b"\"'");
            write_doubled(text, out);
            out.push(b'"');
        } else {
            self.write_text(text, out);
        }
    }

    fn write_null(&self, out: &mut Vec<u8>) {
        // A NULL text with a delimiter in it can only be read from quotes.
        if self.has_special(&self.null) {
            self.write_text(&self.null, out);
        } else {
            out.extend_from_slice(&self.null);
        }
    }

    fn write_text(&self, text: &[u8], out: &mut Vec<u8>) {
        if self.reads_as_null(text) || self.has_special(text) {
            out.push(b'"');
            write_doubled(text, out);
            out.push(b'"');
        } else {
            out.extend_from_slice(text);
        }
    }

    fn write_scalar(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        let cell = &out[start..];
        if self.reads_as_null(cell) || self.delimiter_in_scalars && cell.contains(&self.delimiter) {
            out.insert(start, b'"');
            out.push(b'"');
        }
    }

    fn reads_as_null(&self, text: &[u8]) -> bool {
        // Nearly all texts differ in length; an empty one is not worth a call that compares nothing.
        text.len() == self.null.len() && (text.is_empty() || text == self.null)
    }

    fn has_special(&self, text: &[u8]) -> bool {
        let delimiter = self.delimiter;
        let special = |byte| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
        // Without a way out of the loop the compiler looks at many bytes at once.
        text.iter()
            .fold(false, |found, &byte| found | special(byte))
    }
}

/// Tells what a spreadsheet would run (OWASP, "CSV Injection").
fn begins_formula(text: &[u8]) -> bool {
    matches!(
        text.first(),
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r')
    )
}

fn write_doubled(text: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for quote in memchr::memchr_iter(b'"', text) {
        out.extend_from_slice(&text[start..=quote]);
        start = quote;
    }
    out.extend_from_slice(&text[start..]);
}
