use std::io::Write as _;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Decoder;
use crate::error::SourceError;

fn schema(name: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, DataType::UInt64, false)]))
}

/// An answer in blocks of three rows.
fn answer(blocks: usize) -> Vec<u8> {
    let mut native = Vec::new();
    for _ in 0..blocks {
        native.extend_from_slice(b"\x01\x03\x06number\x06UInt64");
        for number in [1, 0xFFFF_FFFF, u64::MAX] {
            native.extend_from_slice(&number.to_le_bytes());
        }
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(&native).unwrap();
    gzip.finish().unwrap()
}

fn decode(bytes: &[u8], chunk: usize, schema: SchemaRef) -> Result<usize, SourceError> {
    let mut rows = 0;
    let chunks = bytes.chunks(chunk).map(Bytes::copy_from_slice);
    let decoder = Decoder::new(schema, None);
    decoder.decode(chunks, |batch| rows += batch.num_rows())?;
    Ok(rows)
}

#[test]
fn a_whole_answer_decodes_however_it_is_cut_into_chunks() {
    let bytes = answer(2);
    for chunk in [1, 7, 8, 64, bytes.len()] {
        assert_eq!(decode(&bytes, chunk, schema("number")).unwrap(), 6);
    }
    assert_eq!(decode(&answer(0), 5, schema("number")).unwrap(), 0);
}

#[test]
fn an_answer_that_ends_at_any_other_byte_is_an_error() {
    let bytes = answer(2);
    for end in 0..bytes.len() {
        let cut = decode(&bytes[..end], 100, schema("number"));
        assert!(
            matches!(cut, Err(SourceError::Truncated)),
            "cut at {end}: {cut:?}"
        );
    }
}

#[test]
fn other_columns_are_an_error() {
    let decoded = decode(&answer(1), 100, schema("other"));
    assert!(matches!(decoded, Err(SourceError::Schema(_))));
}
