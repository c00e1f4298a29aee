//! Texts and maps of texts in Parquet: dictionaries, pages and what readers skip by.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat_batches, interleave_record_batch};
use arrow::datatypes::{Field, Int32Type, SchemaRef};
use bytes::Bytes;
use domain::ParquetCompression;
use encode::{BlockPosition, Encoder, Levels};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Encoding, PageType};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use proptest::prelude::*;

use crate::fixtures::{batch, parquet, split};

type Builder = ParquetRecordBatchReaderBuilder<Bytes>;

/// Makes a file of one row group out of batches, whose rows come in an order.
fn file(batches: &[RecordBatch], order: Option<&[(usize, usize)]>) -> Bytes {
    file_of(batches[0].schema(), batches, order)
}

fn file_of(schema: SchemaRef, batches: &[RecordBatch], order: Option<&[(usize, usize)]>) -> Bytes {
    let output = parquet(ParquetCompression::Zstd);
    let encoder =
        Encoder::new(&output, schema, Vec::new(), Levels::default()).expect("known types");
    let position = BlockPosition::First;
    let block = match order {
        None => encoder.encode(batches, position),
        Some(order) => encoder.encode_in_order(batches, order, position),
    };
    let mut assembler = encoder.assembler();
    let mut file = assembler
        .push(block.expect("a block"))
        .expect("it is the first")
        .to_vec();
    file.extend_from_slice(&assembler.finish().expect("the file can be ended"));
    file.into()
}

fn open(file: Bytes) -> Builder {
    let options = ArrowReaderOptions::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .with_encoding_stats_as_mask(false);
    Builder::try_new_with_options(file, options).expect("a footer and a page index")
}

fn read(file: Bytes) -> RecordBatch {
    let builder = open(file);
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder
        .build()
        .expect("the file can be read")
        .map(|batch| batch.expect("every row can be read"))
        .collect();
    concat_batches(&schema, &batches).expect("one schema")
}

fn strings(texts: impl IntoIterator<Item = impl Into<String>>) -> ArrayRef {
    let texts = texts.into_iter().map(Into::into);
    Arc::new(StringArray::from_iter_values(
        texts.collect::<Vec<String>>(),
    ))
}

/// Puts texts into a dictionary, as ClickHouse does.
fn in_dictionary(texts: &ArrayRef) -> ArrayRef {
    let texts = texts.as_string::<i32>().iter();
    Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
}

fn maps(
    lengths: &[usize],
    nulls: Option<NullBuffer>,
    keys: ArrayRef,
    values: ArrayRef,
) -> ArrayRef {
    let fields = vec![
        Field::new("key", keys.data_type().clone(), false),
        Field::new("value", values.data_type().clone(), values.null_count() > 0),
    ];
    let entries = StructArray::new(fields.into(), vec![keys, values], None);
    let field = Field::new("key_value", entries.data_type().clone(), false);
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(MapArray::new(
        Arc::new(field),
        offsets,
        entries,
        nulls,
        false,
    ))
}

/// Returns the pages of a column: kind, encoding, how many.
fn pages(builder: &Builder, column: usize) -> Vec<(PageType, Encoding, i32)> {
    let chunk = builder.metadata().row_group(0).column(column);
    let stats = chunk
        .page_encoding_stats()
        .expect("they are written")
        .iter();
    stats
        .map(|stats| (stats.page_type, stats.encoding, stats.count))
        .collect()
}

fn check_same(back: &RecordBatch, rows: &RecordBatch) {
    for (back, rows) in back.columns().iter().zip(rows.columns()) {
        let rows = cast(rows, back.data_type()).expect("texts");
        assert_eq!(back, &rows);
    }
}

#[test]
fn a_dictionary_that_is_too_large_or_in_vain_is_given_up() {
    let text = |row: usize| format!("{:02000}", row % 700);
    let rows = batch(vec![
        ("large", strings((0..45_000).map(text))),
        ("vain", strings((0..45_000).map(|row| format!("{row}")))),
        (
            "few",
            strings((0..45_000).map(|row| format!("{}", row % 7))),
        ),
    ]);
    let file = file(&split(&rows, &[20_001]), None);
    let builder = open(file.clone());
    let dictionary = (PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1);
    let coded = |pages| (PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, pages);
    for column in 0..2 {
        let pages = pages(&builder, column);
        assert_eq!(pages[..2], [dictionary, coded(1)]);
        let [(PageType::DATA_PAGE, Encoding::PLAIN, _)] = pages[2..] else {
            panic!("the chunk changes its encoding once, {pages:?}");
        };
    }
    assert_eq!(pages(&builder, 2), [dictionary, coded(3)]);
    check_same(&read(file), &rows);
}

#[test]
fn pages_of_maps_end_where_rows_end() {
    let lengths: Vec<_> = (0..50_000).map(|row| row % 5).collect();
    let entries = lengths.iter().sum();
    let keys = strings((0..entries).map(|entry| format!("key {}", entry % 11)));
    let values = strings((0..entries).map(|entry| format!("{:050}", entry % 5_000 * entry)));
    let rows = batch(vec![(
        "map",
        maps(&lengths, None, in_dictionary(&keys), values),
    )]);
    let file = file(&split(&rows, &[10, 30_000]), None);
    let builder = open(file.clone());
    let index = builder.metadata().page_index().unwrap();
    for column in 0..2 {
        let firsts = index.page_locations(0, column).unwrap().iter();
        let firsts: Vec<_> = firsts.map(|page| page.first_row_index).collect();
        assert_eq!(firsts[0], 0);
        assert!(firsts.len() > 2 && firsts.is_sorted(), "{firsts:?}");
        assert!(
            builder
                .metadata()
                .row_group(0)
                .column(column)
                .statistics()
                .is_none()
        );
    }
    check_same(&read(file), &rows);
}

#[test]
fn readers_can_skip_by_the_bounds_of_pages() {
    let long = |row: usize| format!("{:05}{}", row, "\u{10ffff}".repeat(30));
    let texts = (0..60_000).map(|row| (row >= 20_000).then(|| long(row / 10)));
    let rows = batch(vec![("text", Arc::new(texts.collect::<StringArray>()))]);
    let builder = open(file(&[rows], None));
    let chunk = builder
        .metadata()
        .row_group(0)
        .column(0)
        .statistics()
        .unwrap();
    assert_eq!(chunk.null_count_opt(), Some(20_000));
    assert!(!chunk.min_is_exact() && !chunk.max_is_exact());
    assert!(chunk.min_bytes_opt().unwrap() <= long(2_000).as_bytes());
    assert!(chunk.max_bytes_opt().unwrap() >= long(5_999).as_bytes());
    let index = builder.metadata().page_index().unwrap();
    let Some(ColumnIndexMetaData::BYTE_ARRAY(pages)) = index.column_index(0, 0) else {
        panic!("texts have bounds");
    };
    assert!(pages.is_null_page(0));
    assert_eq!(pages.null_count(0), Some(20_000));
    let locations = index.page_locations(0, 0).unwrap();
    for page in 1..locations.len() {
        let row = |page: usize| {
            locations
                .get(page)
                .map_or(60_000, |page| page.first_row_index)
        };
        let [first, last] = [row(page), row(page + 1) - 1].map(|row| usize::try_from(row).unwrap());
        assert!(pages.min_value(page).unwrap() <= long(first / 10).as_bytes());
        assert!(pages.max_value(page).unwrap() >= long(last / 10).as_bytes());
        assert!(pages.max_value(page).unwrap() < long(last / 10 + 1).as_bytes());
    }
}

#[test]
fn where_batches_end_no_page_does() {
    let texts = strings((0..50_000).map(|row| format!("{row} {}", "long".repeat(40))));
    let rows = batch(vec![("text", texts)]);
    let batches = split(&rows, &[1, 7, 6_500, 11, 20_000]);
    let order: Vec<_> = (0..50_000).map(|row| (0, row)).collect();
    let rows = [rows];
    let whole = file(&rows, None);
    let builder = open(whole.clone());
    let index = builder.metadata().page_index().unwrap();
    assert!(index.page_locations(0, 0).unwrap().len() > 4);
    assert!(file(&batches, None) == whole);
    assert!(file(&rows, Some(&order)) == whole);
}

/// A text, of which there are some again and again.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{0,2}",
        Just("a text that is longer than a word of the processor".to_owned()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_texts_come_back(
        texts in prop::collection::vec(prop::option::weighted(0.8, text()), 1..200),
        entries in prop::collection::vec((text(), prop::option::weighted(0.9, text())), 0..300),
        runs in prop::collection::vec((0_usize..4, 1_usize..40), 1..40),
        cuts in prop::collection::vec(0_usize..80, 0..4),
        seed in any::<u64>(),
        shuffled in any::<bool>(),
    ) {
        let lengths = runs.iter().flat_map(|(length, times)| [*length].repeat(*times));
        let lengths: Vec<_> = lengths.cycle().take(texts.len()).collect();
        let count: usize = lengths.iter().sum();
        prop_assume!(count == 0 || !entries.is_empty());
        let entries: Vec<_> = entries.into_iter().cycle().take(count).collect();
        let keys = strings(entries.iter().map(|(key, _)| key));
        let values: StringArray = entries.iter().map(|(_, value)| value.as_deref()).collect();
        let values: ArrayRef = Arc::new(values);
        let column: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let nulls: NullBuffer = texts.iter().map(Option::is_some).collect();
        let all_there = strings(texts.iter().map(|text| text.clone().unwrap_or_default()));
        let rows = |keys: &ArrayRef, values: &ArrayRef, column: &ArrayRef, all_there: &ArrayRef| {
            let columns = [
                ("text", column.clone(), true),
                ("map", maps(&lengths, None, keys.clone(), values.clone()), true),
                ("maybe", maps(&lengths, Some(nulls.clone()), keys.clone(), values.clone()), true),
                ("all there", all_there.clone(), false),
                ("all maps there", maps(&lengths, None, keys.clone(), keys.clone()), false),
            ];
            RecordBatch::try_from_iter_with_nullable(columns).expect("columns are equally long")
        };
        let plain = rows(&keys, &values, &column, &all_there);
        let coded = rows(
            &in_dictionary(&keys),
            &in_dictionary(&values),
            &in_dictionary(&column),
            &in_dictionary(&all_there),
        );
        let batches = split(&plain, &cuts);
        let mut order: Vec<_> = batches
            .iter()
            .enumerate()
            .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)))
            .collect();
        if shuffled {
            fastrand::Rng::with_seed(seed).shuffle(&mut order);
        }
        let expected = interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &order).unwrap();
        let order = shuffled.then_some(order.as_slice());
        let file_of = |batches: &[RecordBatch]| file_of(plain.schema(), batches, order);
        let file = file_of(&batches);
        prop_assert!(file == file_of(&split(&coded, &cuts)), "dictionaries show in the bytes");
        check_same(&read(file), &expected);
    }
}
