//! Streams made by hand, and arrays as text.

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use native::{Block, Decoder, Limits, NativeError};

/// Makes a block; each column is a name, a type and the data.
pub(crate) fn block(rows: u8, columns: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut bytes = var_uint(columns.len() as u64);
    bytes.extend(var_uint(rows.into()));
    for (name, type_text, data) in columns {
        bytes.extend(string(name));
        bytes.extend(string(type_text));
        bytes.extend_from_slice(data);
    }
    bytes
}

/// Makes a length and a text.
pub(crate) fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut bytes = var_uint(text.len() as u64);
    bytes.extend_from_slice(text);
    bytes
}

pub(crate) fn var_uint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// Makes 64-bit numbers.
pub(crate) fn words(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|each| each.to_le_bytes()).collect()
}

/// Decodes a stream in chunks of these sizes, over and over.
pub(crate) fn decode(bytes: &[u8], sizes: &[usize]) -> Result<Vec<Block>, NativeError> {
    let mut decoder = Decoder::new(Limits::default());
    let (mut blocks, mut rest) = (Vec::new(), bytes);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at((*size).min(rest.len()));
        decoder.push(chunk.to_vec().into());
        rest = behind;
        while let Some(block) = decoder.next_block()? {
            blocks.push(block);
        }
    }
    decoder.finish()?;
    Ok(blocks)
}

/// Decodes a column of one block, and returns its values as text.
pub(crate) fn column(type_text: &str, rows: u8, data: &[u8]) -> Vec<String> {
    let bytes = block(rows, &[("c", type_text, data)]);
    let blocks = decode(&bytes, &[bytes.len()]).unwrap_or_else(|error| fail(type_text, &error));
    assert_eq!(blocks.len(), 1, "{type_text}");
    shown(blocks[0].batch.column(0))
}

/// Decodes a column of one block, and returns what is wrong with it.
pub(crate) fn refused(type_text: &str, rows: u8, data: &[u8]) -> String {
    let bytes = block(rows, &[("c", type_text, data)]);
    let error = decode(&bytes, &[bytes.len()]).expect_err(type_text);
    chain(&error)
}

/// Returns an error and its sources.
pub(crate) fn chain(error: &NativeError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Returns the values of an array as text, a map or a list with what is in it.
pub(crate) fn shown(array: &dyn Array) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len())
        .map(|row| formatter.value(row).to_string())
        .collect()
}

fn fail(type_text: &str, error: &NativeError) -> ! {
    panic!("{type_text}: {}", chain(error))
}
