use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::Schema;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use bytes::Bytes;

use super::Decoder;
use crate::error::SourceError;

fn batch() -> RecordBatch {
    // With rows that look like the mark of the end.
    let numbers: ArrayRef = Arc::new(UInt64Array::from(vec![1, 0xFFFF_FFFF, u64::MAX]));
    RecordBatch::try_from_iter([("number", numbers)]).unwrap()
}

fn stream(batches: usize) -> Vec<u8> {
    let options = IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::LZ4_FRAME))
        .unwrap();
    let schema = batch().schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    for _ in 0..batches {
        writer.write(&batch()).unwrap();
    }
    writer.into_inner().unwrap()
}

fn decode<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<usize, SourceError> {
    let mut decoder = Decoder::new(batch().schema());
    let mut rows = 0;
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk), |batch| {
            rows += batch.num_rows();
            Ok(())
        })?;
    }
    decoder.finish().map(|()| rows)
}

#[test]
fn a_whole_stream_decodes_however_it_is_cut_into_chunks() {
    let bytes = stream(2);
    for size in [1, 7, 8, 64, bytes.len()] {
        assert_eq!(decode(bytes.chunks(size)).unwrap(), 6, "chunks of {size}");
    }
    assert_eq!(decode(stream(0).chunks(5)).unwrap(), 0);
}

#[test]
fn a_stream_that_ends_at_any_other_byte_is_an_error() {
    let bytes = stream(2);
    for end in 0..bytes.len() {
        let cut = decode(std::iter::once(&bytes[..end]));
        assert!(
            matches!(cut, Err(SourceError::Truncated)),
            "cut at {end}: {cut:?}"
        );
    }
}

#[test]
fn nothing_may_come_behind_the_end() {
    let mut bytes = stream(1);
    bytes.extend_from_slice(b"Code: 241. DB::Exception");
    assert!(matches!(
        decode(bytes.chunks(50)),
        Err(SourceError::Decode(_))
    ));
}

#[test]
fn other_columns_are_an_error_even_without_rows() {
    let other = Decoder::new(Arc::new(Schema::empty()));
    let mut decoder = other;
    decoder.push(Bytes::from(stream(0)), |_| Ok(())).unwrap();
    assert!(matches!(decoder.finish(), Err(SourceError::Schema(_))));
}
