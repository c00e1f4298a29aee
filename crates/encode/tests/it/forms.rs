//! The same rows in another form make the same file.

use std::slice::from_ref;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray, UInt64Array,
};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use domain::{CsvOptions, JsonLayout};
use encode::{BlockPosition, EncodeError, EncodedBlock, Encoder};
use proptest::prelude::*;

use crate::export::{encoder, outputs};
use crate::fixtures::{batch, csv, every_type, json, map, split, text_file};

/// Puts each text into a dictionary.
fn in_dictionaries(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8 => {
            let keys = Box::new(DataType::Int32);
            cast(array, &DataType::Dictionary(keys, Box::new(DataType::Utf8)))
                .expect("a text can be in a dictionary")
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let values = in_dictionaries(list.values());
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::new(of(field, &values), offsets, values, nulls))
        }
        DataType::Map(field, sorted) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = in_dictionaries(&entries);
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let field = of(field, &entries);
            let entries = entries.as_struct().clone();
            Arc::new(MapArray::new(field, offsets, entries, nulls, *sorted))
        }
        DataType::Struct(fields) => {
            let columns: Vec<_> = array
                .as_struct()
                .columns()
                .iter()
                .map(in_dictionaries)
                .collect();
            let fields = fields
                .iter()
                .zip(&columns)
                .map(|(field, array)| of(field, array));
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::new(fields.collect(), columns, nulls))
        }
        _ => Arc::clone(array),
    }
}

fn of(field: &FieldRef, array: &ArrayRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(array.data_type().clone()))
}

fn batch_in_dictionaries(batch: &RecordBatch) -> RecordBatch {
    let columns: Vec<_> = batch.columns().iter().map(in_dictionaries).collect();
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(&columns);
    let fields: Vec<_> = fields.map(|(field, array)| of(field, array)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .expect("the fields are those of the columns")
}

fn bytes(encoder: &Encoder, batches: &[RecordBatch]) -> Vec<u8> {
    let block = encoder
        .encode(batches, BlockPosition::First)
        .expect("the rows can be encoded");
    file(encoder, block)
}

fn file(encoder: &Encoder, block: EncodedBlock) -> Vec<u8> {
    let mut assembler = encoder.assembler();
    let block = assembler.push(block).expect("it is the first");
    let end = assembler.finish().expect("the file can be ended");
    [&block[..], &end].concat()
}

fn bytes_in_order(encoder: &Encoder, batches: &[RecordBatch], order: &[(usize, usize)]) -> Vec<u8> {
    let block = encoder
        .encode_in_order(batches, order, BlockPosition::First)
        .expect("the rows can be encoded");
    file(encoder, block)
}

#[test]
fn a_null_in_a_map_does_not_show_in_others() {
    let quotes: &[_] = &[("key", Some("plain")), ("quote", Some("a \"b\" \\ c"))];
    let plain: &[_] = &[("key", Some("plain"))];
    let null: &[_] = &[("key", None)];
    let rows = |maps: &[_]| batch(vec![("map", Arc::new(map(maps)))]);
    let all_there = rows(&[Some(quotes), Some(plain)]);
    let one_is_not = rows(&[Some(quotes), Some(plain), Some(null)]);
    for output in [csv(CsvOptions::default()), json(JsonLayout::Lines)] {
        let expected = text_file(&output, &one_is_not);
        let lines = text_file(&output, &all_there);
        assert!(expected.starts_with(&lines), "{lines}");
        assert!(lines.contains("plain") && lines.len() < expected.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn batches_and_dictionaries_do_not_show(
        times in 1_usize..600,
        lengths in prop::collection::vec(0_usize..900, 0..4),
        in_dictionary in prop::collection::vec(any::<bool>(), 5),
    ) {
        let few = every_type();
        let whole = concat_batches(&few.schema(), &vec![few.clone(); times]).unwrap();
        let batches = split(&whole, &lengths);
        let batches = batches.iter().zip(in_dictionary);
        let batches: Vec<_> = batches
            .map(|(batch, yes)| if yes { batch_in_dictionaries(batch) } else { batch.clone() })
            .collect();
        for output in outputs() {
            let encoder = encoder(&output, &whole.schema());
            let expected = bytes(&encoder, from_ref(&whole));
            prop_assert!(bytes(&encoder, &batches) == expected, "{output:?}");
        }
    }
    #[test]
    fn any_order_of_rows_is_as_good_as_that_of_a_batch(
        lengths in prop::collection::vec(1_usize..9, 1..4),
        in_dictionary in prop::collection::vec(any::<bool>(), 5),
        chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let few = every_type();
        let whole = concat_batches(&few.schema(), &vec![few.clone(); 8]).unwrap();
        let batches = split(&whole, &lengths);
        let batches = batches.iter().zip(in_dictionary.iter().cycle());
        let batches: Vec<_> = batches
            .map(|(batch, yes)| if *yes { batch_in_dictionaries(batch) } else { batch.clone() })
            .collect();
        let all: Vec<_> = batches
            .iter()
            .enumerate()
            .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)))
            .collect();
        let chosen: Vec<_> = chosen.iter().map(|index| index.index(all.len())).collect();
        let order: Vec<_> = chosen.iter().map(|index| all[*index]).collect();
        let rows = UInt64Array::from_iter_values(chosen.iter().map(|index| *index as u64));
        let expected = take_record_batch(&whole, &rows).unwrap();
        for output in outputs() {
            let encoder = encoder(&output, &whole.schema());
            let expected = bytes(&encoder, from_ref(&expected));
            prop_assert!(bytes_in_order(&encoder, &batches, &order) == expected, "{output:?}");
        }
    }
}

#[test]
fn a_row_that_is_not_there_is_refused() {
    let batch = every_type();
    let encoder = encoder(&outputs()[0], &batch.schema());
    for row in [(0, batch.num_rows()), (1, 0)] {
        let block = encoder.encode_in_order(from_ref(&batch), &[row], BlockPosition::First);
        assert!(matches!(block, Err(EncodeError::NoSuchRow)));
    }
}
