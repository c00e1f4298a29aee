//! Parquet.

use std::slice;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchReader, StringArray,
    TimestampMillisecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, TimeUnit, UInt64Type};
use bytes::Bytes;
use domain::ParquetCompression;
use encode::{BlockPosition, EncodeError, Encoder, Levels};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::{Encoding, LogicalType, TimeUnit as ParquetTimeUnit};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use proptest::prelude::*;

use crate::fixtures::{batch, every_type, file, list, parquet, split};

const ZSTD: ParquetCompression = ParquetCompression::Zstd;

/// Opens a file whose page index must be there.
fn open(file: Vec<u8>) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(file), options)
        .expect("the file has a footer and a page index")
}

pub(crate) fn read(file: Vec<u8>) -> RecordBatch {
    let reader = open(file).build().expect("the file can be read");
    let schema = reader.schema();
    let batches: Vec<_> = reader
        .collect::<Result<_, _>>()
        .expect("every row can be read");
    concat_batches(&schema, &batches).expect("the batches are of one schema")
}

/// Makes numbered rows with a text that is long enough for many pages.
fn numbered(rows: u64) -> RecordBatch {
    let text: StringArray = (0..rows).map(|n| Some(format!("{n:064}"))).collect();
    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..rows));
    batch(vec![("number", numbers), ("text", Arc::new(text))])
}

/// Checks that pages follow each other without a gap, from the beginning of the file to its end.
fn check_offsets(metadata: &ParquetMetaData) {
    let page_index = metadata.page_index().expect("there is a page index");
    let mut position = 4;
    for (number, row_group) in metadata.row_groups().iter().enumerate() {
        assert_eq!(row_group.ordinal(), i32::try_from(number).ok());
        assert_eq!(row_group.file_offset(), Some(position));
        for (column, chunk) in row_group.columns().iter().enumerate() {
            let end = position + chunk.compressed_size();
            if let Some(dictionary) = chunk.dictionary_page_offset() {
                assert_eq!(dictionary, position);
                position = chunk.data_page_offset();
            }
            assert_eq!(chunk.data_page_offset(), position);
            for page in page_index
                .page_locations(number, column)
                .expect("each column has one")
            {
                assert_eq!(page.offset, position);
                position += i64::from(page.compressed_page_size);
            }
            assert_eq!(position, end);
            let is_nested = chunk.column_path().parts().len() > 1;
            assert_eq!(chunk.statistics().is_none(), is_nested);
            assert!(chunk.bloom_filter_offset().is_none());
        }
    }
}

/// Returns the batch as it comes back: Parquet has no seconds.
fn stored(batch: &RecordBatch) -> RecordBatch {
    let columns = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| {
            let array = match field.data_type() {
                DataType::Timestamp(TimeUnit::Second, zone) => {
                    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, zone.clone());
                    cast(array, &milliseconds).expect("seconds are milliseconds")
                }
                _ => Arc::clone(array),
            };
            (field.name().clone(), array, true)
        })
        .collect::<Vec<_>>();
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns are equally long")
}

#[test]
fn every_type_comes_back() {
    let batch = every_type();
    for compression in [
        ZSTD,
        ParquetCompression::Snappy,
        ParquetCompression::Gzip,
        ParquetCompression::None,
    ] {
        let file = file(
            &parquet(compression),
            batch.schema_ref(),
            &split(&batch, &[1, 1]),
        );
        check_offsets(open(file.clone()).metadata());
        let back = read(file);
        let expected = stored(&batch);
        assert_eq!(back.schema().fields(), expected.schema().fields());
        for (index, field) in back.schema().fields().iter().enumerate() {
            // NaN is not equal to itself, but looks the same.
            let [written, read] =
                [&expected, &back].map(|batch| format!("{:?}", batch.column(index)));
            assert_eq!(read, written, "{}", field.name());
        }
    }
}

#[test]
fn other_readers_see_the_types_too() {
    let batch = every_type();
    let builder = open(file(
        &parquet(ZSTD),
        batch.schema_ref(),
        slice::from_ref(&batch),
    ));
    let columns = builder.parquet_schema().columns();
    let of = |path: &str| {
        columns
            .iter()
            .find(|column| column.path().string() == path)
            .unwrap()
    };
    let nanoseconds = LogicalType::timestamp(true, ParquetTimeUnit::NANOS);
    assert_eq!(of("nano").logical_type_ref(), Some(&nanoseconds));
    assert!(matches!(
        of("map.key_value.key").logical_type_ref(),
        Some(LogicalType::String)
    ));
    assert!(matches!(
        of("map.key_value.value").logical_type_ref(),
        Some(LogicalType::String)
    ));
    of("list.list.element");
    of("events.list.element.attributes.key_value.value");
}

#[test]
fn seconds_are_milliseconds_also_inside_of_lists() {
    let seconds = TimestampSecondArray::from(vec![1, -1]).with_timezone("UTC");
    let rows = batch(vec![("times", Arc::new(list(Arc::new(seconds))))]);
    let file = file(&parquet(ZSTD), rows.schema_ref(), slice::from_ref(&rows));
    let back = read(file);
    let items = back.column(0).as_list::<i32>().values();
    let milliseconds = TimestampMillisecondArray::from(vec![1_000, -1_000]).with_timezone("UTC");
    assert_eq!(items.as_ref(), &milliseconds as &dyn Array);
}

#[test]
fn seconds_that_no_millisecond_can_hold_are_an_error() {
    let seconds = TimestampSecondArray::from(vec![i64::MAX]).with_timezone("UTC");
    let rows = batch(vec![("time", Arc::new(seconds))]);
    let encoder =
        Encoder::new(&parquet(ZSTD), rows.schema(), Vec::new(), Levels::default()).unwrap();
    let result = encoder.encode(&[rows], BlockPosition::First);
    assert!(matches!(result, Err(EncodeError::Parquet(_))));
}

#[test]
fn the_footer_tells_where_the_file_comes_from() {
    let batch = every_type();
    let builder = open(file(
        &parquet(ZSTD),
        batch.schema_ref(),
        slice::from_ref(&batch),
    ));
    let footer = builder.metadata().file_metadata();
    assert_eq!(
        footer.created_by(),
        Some(concat!("export-worker version ", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(footer.num_rows(), 3);
    let entries = footer.key_value_metadata().unwrap();
    let dataset = entries
        .iter()
        .find(|entry| entry.key == "export.dataset")
        .unwrap();
    assert_eq!(dataset.value.as_deref(), Some("logs"));
}

#[test]
fn a_file_without_rows_has_the_schema() {
    let schema = every_type().schema();
    let empty = RecordBatch::new_empty(schema.clone());
    for blocks in [vec![], vec![empty.clone(), empty]] {
        let file = Bytes::from(file(&parquet(ZSTD), &schema, &blocks));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(builder.metadata().num_row_groups(), 0);
        let expected = stored(&RecordBatch::new_empty(schema.clone())).schema();
        assert_eq!(builder.schema().fields(), expected.fields());
        assert_eq!(builder.build().unwrap().count(), 0);
    }
}

#[test]
fn a_reader_finds_rows_by_the_page_index() {
    let batch = numbered(100_000);
    let builder = open(file(
        &parquet(ZSTD),
        batch.schema_ref(),
        &split(&batch, &[60_000]),
    ));
    check_offsets(builder.metadata());
    assert_eq!(builder.metadata().num_row_groups(), 2);
    let page_index = builder.metadata().page_index().unwrap();
    assert!(page_index.page_locations(1, 1).unwrap().len() > 1);
    let selection = RowSelection::from(vec![
        RowSelector::skip(30_000),
        RowSelector::select(2),
        RowSelector::skip(65_000),
        RowSelector::select(1),
        RowSelector::skip(4_997),
    ]);
    let reader = builder.with_row_selection(selection).build().unwrap();
    let rows: Vec<_> = reader.map(Result::unwrap).collect();
    let numbers: Vec<u64> = rows
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<UInt64Type>()
                .values()
                .to_vec()
        })
        .collect();
    assert_eq!(numbers, [30_000, 30_001, 95_002]);
    assert_eq!(
        rows[0].column(1).as_string::<i32>().value(0),
        format!("{:064}", 30_000)
    );
}

#[test]
fn times_are_stored_as_differences_and_texts_in_dictionaries() {
    let batch = every_type();
    let builder = open(file(
        &parquet(ZSTD),
        batch.schema_ref(),
        slice::from_ref(&batch),
    ));
    let row_group = builder.metadata().row_group(0);
    let encodings = |name: &str| {
        let column = row_group
            .columns()
            .iter()
            .find(|column| column.column_path().string() == name);
        column.unwrap().encodings().collect::<Vec<_>>()
    };
    assert!(encodings("nano").contains(&Encoding::DELTA_BINARY_PACKED));
    assert!(encodings("dictionary").contains(&Encoding::RLE_DICTIONARY));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn blocks_do_not_show(rows in 0_u64..40, lengths in prop::collection::vec(0_usize..20, 0..5)) {
        let batch = numbered(rows);
        let blocks = split(&batch, &lengths);
        let file = file(&parquet(ZSTD), batch.schema_ref(), &blocks);
        let row_groups = blocks.iter().filter(|block| block.num_rows() > 0).count();
        prop_assume!(row_groups > 0);
        let builder = open(file.clone());
        prop_assert_eq!(builder.metadata().num_row_groups(), row_groups);
        check_offsets(builder.metadata());
        let back = read(file);
        prop_assert_eq!(back.columns(), batch.columns());
        prop_assert_eq!(back.column(0).null_count(), 0);
    }
}
