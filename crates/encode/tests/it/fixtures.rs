//! Record batches, and the way from them to a file.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use domain::{
    Compression, CsvOptions, JsonLayout, JsonOptions, Output, ParquetCompression, ParquetOptions,
};
use encode::{BlockPosition, Encoder};

pub(crate) fn csv(options: CsvOptions) -> Output {
    Output::Csv {
        options,
        compression: Compression::None,
    }
}

pub(crate) fn json(layout: JsonLayout) -> Output {
    Output::Json {
        options: JsonOptions { layout },
        compression: Compression::None,
    }
}

pub(crate) fn parquet(compression: ParquetCompression) -> Output {
    Output::Parquet {
        options: ParquetOptions { compression },
    }
}

/// Makes a file of blocks, one a batch.
pub(crate) fn file(output: &Output, schema: &Arc<Schema>, batches: &[RecordBatch]) -> Vec<u8> {
    let metadata = vec![("export.dataset".to_owned(), "logs".to_owned())];
    let encoder = Encoder::new(output, schema.clone(), metadata).expect("the types are known");
    let mut assembler = encoder.assembler();
    let mut file = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let position = if index == 0 {
            BlockPosition::First
        } else {
            BlockPosition::Later
        };
        let block = encoder
            .encode(batch, position)
            .expect("the batch can be encoded");
        assert_eq!(block.rows(), batch.num_rows() as u64);
        file.extend_from_slice(&assembler.push(block).expect("the block is the next"));
    }
    file.extend_from_slice(&assembler.finish().expect("the file can be ended"));
    file
}

pub(crate) fn text_file(output: &Output, batch: &RecordBatch) -> String {
    let file = file(output, batch.schema_ref(), std::slice::from_ref(batch));
    String::from_utf8(file).expect("the file is UTF-8")
}

/// Cuts a batch into batches of these lengths and one of the rest.
pub(crate) fn split(batch: &RecordBatch, lengths: &[usize]) -> Vec<RecordBatch> {
    let mut start = 0;
    let mut parts: Vec<_> = lengths
        .iter()
        .map(|length| {
            let length = (*length).min(batch.num_rows() - start);
            start += length;
            batch.slice(start - length, length)
        })
        .collect();
    parts.push(batch.slice(start, batch.num_rows() - start));
    parts
}

/// Makes a batch of columns that may all be NULL.
pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("columns are equally long")
}

pub(crate) fn texts(texts: &[Option<&str>]) -> RecordBatch {
    batch(vec![("text", Arc::new(StringArray::from(texts.to_vec())))])
}

/// Makes three rows of every type: a usual value, a corner, NULL.
pub(crate) fn every_type() -> RecordBatch {
    let dictionary: DictionaryArray<Int32Type> =
        [Some("ERROR"), Some(""), None].into_iter().collect();
    let decimal = Decimal128Array::from(vec![Some(12_345), Some(-1), None])
        .with_precision_and_scale(20, 4)
        .expect("the numbers fit");
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        [Some([0xca, 0xfe]), Some([0, 0xff]), None].into_iter(),
        2,
    )
    .expect("the values are of this size");
    let numbers = ListArray::new(
        Arc::new(Field::new("element", DataType::UInt64, true)),
        OffsetBuffer::from_lengths([3, 0, 0]),
        Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)])),
        Some(NullBuffer::from(vec![true, true, false])),
    );
    batch(vec![
        (
            "text",
            Arc::new(StringArray::from(vec![
                Some("plain"),
                Some("a \"b\",\r\n\u{1}é\\"),
                None,
            ])),
        ),
        (
            "large_text",
            Arc::new(LargeStringArray::from(vec![Some("=1+1"), Some(""), None])),
        ),
        ("dictionary", Arc::new(dictionary)),
        (
            "boolean",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        (
            "int8",
            Arc::new(Int8Array::from(vec![Some(1), Some(i8::MIN), None])),
        ),
        (
            "int16",
            Arc::new(Int16Array::from(vec![Some(1), Some(i16::MIN), None])),
        ),
        (
            "int32",
            Arc::new(Int32Array::from(vec![Some(1), Some(i32::MIN), None])),
        ),
        (
            "int64",
            Arc::new(Int64Array::from(vec![Some(1), Some(i64::MIN), None])),
        ),
        (
            "uint8",
            Arc::new(UInt8Array::from(vec![Some(1), Some(u8::MAX), None])),
        ),
        (
            "uint16",
            Arc::new(UInt16Array::from(vec![Some(1), Some(u16::MAX), None])),
        ),
        (
            "uint32",
            Arc::new(UInt32Array::from(vec![Some(1), Some(u32::MAX), None])),
        ),
        (
            "uint64",
            Arc::new(UInt64Array::from(vec![Some(1), Some(u64::MAX), None])),
        ),
        (
            "float32",
            Arc::new(Float32Array::from(vec![
                Some(0.1),
                Some(f32::NEG_INFINITY),
                None,
            ])),
        ),
        (
            "float64",
            Arc::new(Float64Array::from(vec![Some(1e300), Some(f64::NAN), None])),
        ),
        ("decimal", Arc::new(decimal)),
        (
            "second",
            Arc::new(
                TimestampSecondArray::from(vec![Some(1), Some(-1), None]).with_timezone("UTC"),
            ),
        ),
        (
            "milli",
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(1), Some(-1), None]).with_timezone("UTC"),
            ),
        ),
        (
            "micro",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1), Some(-1), None]).with_timezone("UTC"),
            ),
        ),
        (
            "nano",
            Arc::new(
                TimestampNanosecondArray::from(vec![
                    Some(1_767_225_600_123_456_789),
                    Some(-1),
                    None,
                ])
                .with_timezone("UTC"),
            ),
        ),
        (
            "date",
            Arc::new(Date32Array::from(vec![Some(20_454), Some(-1), None])),
        ),
        (
            "binary",
            Arc::new(BinaryArray::from(vec![
                Some(&b"\x00\xff"[..]),
                Some(b""),
                None,
            ])),
        ),
        ("fixed", Arc::new(fixed)),
        (
            "map",
            Arc::new(map(&[
                Some(&[("http.route", Some("/a?b=\"c\"")), ("empty", None)]),
                Some(&[]),
                None,
            ])),
        ),
        ("list", Arc::new(numbers)),
        ("events", Arc::new(events())),
    ])
}

type Entries<'a> = &'a [(&'a str, Option<&'a str>)];

/// Makes a map of text to text.
pub(crate) fn map(rows: &[Option<Entries<'_>>]) -> MapArray {
    let entries: Vec<_> = rows.iter().flatten().copied().flatten().collect();
    let keys: StringArray = entries.iter().map(|(key, _)| Some(*key)).collect();
    let values: StringArray = entries.iter().map(|(_, value)| *value).collect();
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    let entries = StructArray::new(fields, vec![Arc::new(keys), Arc::new(values)], None);
    let field = Field::new("key_value", entries.data_type().clone(), false);
    MapArray::new(
        Arc::new(field),
        OffsetBuffer::from_lengths(rows.iter().map(|row| row.map_or(0, <[_]>::len))),
        entries,
        Some(rows.iter().map(Option::is_some).collect::<NullBuffer>()),
        false,
    )
}

/// Makes a list of structs with a time, a name and a map in each.
fn events() -> ListArray {
    let times = TimestampNanosecondArray::from(vec![1_000_000_007, -1]).with_timezone("UTC");
    let names = StringArray::from(vec![Some("exception"), None]);
    let attributes = map(&[Some(&[("stack", Some("a\n\tb"))]), None]);
    let fields = Fields::from(vec![
        Field::new("timestamp", times.data_type().clone(), false),
        Field::new("name", DataType::Utf8, true),
        Field::new("attributes", attributes.data_type().clone(), true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(names), Arc::new(attributes)];
    let events = StructArray::new(fields, columns, None);
    ListArray::new(
        Arc::new(Field::new("element", events.data_type().clone(), true)),
        OffsetBuffer::from_lengths([2, 0, 0]),
        Arc::new(events),
        Some(NullBuffer::from(vec![true, true, false])),
    )
}
