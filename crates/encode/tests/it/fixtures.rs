//! Record batches, and the way from them to a file.

use std::slice::from_ref;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, MapArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Field, Fields, Int32Type, Schema, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use domain::{
    Compression, CsvOptions, JsonLayout, JsonOptions, Output, ParquetCompression, ParquetOptions,
};
use encode::{BlockPosition, Encoder, Levels};

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
    file_at(Levels::default(), output, schema, batches)
}

/// The same, compressed at other levels.
pub(crate) fn file_at(
    levels: Levels,
    output: &Output,
    schema: &Arc<Schema>,
    batches: &[RecordBatch],
) -> Vec<u8> {
    let metadata = vec![("export.dataset".to_owned(), "logs".to_owned())];
    let encoder =
        Encoder::new(output, schema.clone(), metadata, levels).expect("the types are known");
    let mut assembler = encoder.assembler();
    let mut file = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let position = if index == 0 {
            BlockPosition::First
        } else {
            BlockPosition::Later
        };
        let block = encoder
            .encode(from_ref(batch), position)
            .expect("the batch can be encoded");
        assert_eq!(block.rows(), batch.num_rows() as u64);
        file.extend_from_slice(&assembler.push(block).expect("the block is the next"));
    }
    file.extend_from_slice(&assembler.finish().expect("the file can be ended"));
    file
}

pub(crate) fn text_file(output: &Output, batch: &RecordBatch) -> String {
    let file = file(output, batch.schema_ref(), from_ref(batch));
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
    batch([texts_and_numbers(), times_and_bytes(), nested()].concat())
}

type NamedColumns = Vec<(&'static str, ArrayRef)>;

fn texts_and_numbers() -> NamedColumns {
    let dictionary: DictionaryArray<Int32Type> =
        [Some("ERROR"), Some(""), None].into_iter().collect();
    let decimal = Decimal128Array::from(vec![Some(12_345), Some(-1), None])
        .with_precision_and_scale(20, 4)
        .expect("the numbers fit");
    vec![
        (
            "text",
            three::<StringArray, _>("plain", "a \"b\",\r\n\u{1}é\\"),
        ),
        ("large_text", three::<LargeStringArray, _>("=1+1", "")),
        ("dictionary", Arc::new(dictionary)),
        ("boolean", three::<BooleanArray, _>(true, false)),
        ("int8", three::<Int8Array, _>(1, i8::MIN)),
        ("int16", three::<Int16Array, _>(1, i16::MIN)),
        ("int32", three::<Int32Array, _>(1, i32::MIN)),
        ("int64", three::<Int64Array, _>(1, i64::MIN)),
        ("uint8", three::<UInt8Array, _>(1, u8::MAX)),
        ("uint16", three::<UInt16Array, _>(1, u16::MAX)),
        ("uint32", three::<UInt32Array, _>(1, u32::MAX)),
        ("uint64", three::<UInt64Array, _>(1, u64::MAX)),
        ("float32", three::<Float32Array, _>(0.1, f32::NEG_INFINITY)),
        ("float64", three::<Float64Array, _>(1e300, f64::NAN)),
        ("decimal", Arc::new(decimal)),
    ]
}

fn times_and_bytes() -> NamedColumns {
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        [Some([0xca, 0xfe]), Some([0, 0xff]), None].into_iter(),
        2,
    )
    .expect("the values are of this size");
    vec![
        ("second", utc::<TimestampSecondType>(1, -1)),
        ("milli", utc::<TimestampMillisecondType>(1, -1)),
        ("micro", utc::<TimestampMicrosecondType>(1, -1)),
        (
            "nano",
            utc::<TimestampNanosecondType>(1_767_225_600_123_456_789, -1),
        ),
        ("date", three::<Date32Array, _>(20_454, -1)),
        ("binary", three::<BinaryArray, _>(&b"\x00\xff"[..], b"")),
        ("fixed", Arc::new(fixed)),
    ]
}

fn nested() -> NamedColumns {
    let map = map(&[
        Some(&[("http.route", Some("/a?b=\"c\"")), ("empty", None)]),
        Some(&[]),
        None,
    ]);
    let numbers = UInt64Array::from(vec![Some(1), None, Some(u64::MAX)]);
    vec![
        ("map", Arc::new(map)),
        ("list", Arc::new(list(Arc::new(numbers)))),
        ("events", Arc::new(list(Arc::new(events())))),
    ]
}

fn three<A: Array + From<Vec<Option<T>>> + 'static, T>(usual: T, corner: T) -> ArrayRef {
    Arc::new(A::from(vec![Some(usual), Some(corner), None]))
}

fn utc<T: ArrowTimestampType>(usual: i64, corner: i64) -> ArrayRef {
    let times: PrimitiveArray<T> = [Some(usual), Some(corner), None].into_iter().collect();
    Arc::new(times.with_timezone("UTC"))
}

/// Makes three rows: all of the items, none, NULL.
pub(crate) fn list(items: ArrayRef) -> ListArray {
    ListArray::new(
        Arc::new(Field::new("element", items.data_type().clone(), true)),
        OffsetBuffer::from_lengths([items.len(), 0, 0]),
        items,
        Some(NullBuffer::from(vec![true, true, false])),
    )
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

/// Makes structs with a time, a name and a map in each.
fn events() -> StructArray {
    let times = TimestampNanosecondArray::from(vec![1_000_000_007, -1]).with_timezone("UTC");
    let names = StringArray::from(vec![Some("exception"), None]);
    let attributes = map(&[Some(&[("stack", Some("a\n\tb"))]), None]);
    let fields = Fields::from(vec![
        Field::new("timestamp", times.data_type().clone(), false),
        Field::new("name", DataType::Utf8, true),
        Field::new("attributes", attributes.data_type().clone(), true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(names), Arc::new(attributes)];
    StructArray::new(fields, columns, None)
}
