//! The same rows in another form make the same file.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use encode::{BlockPosition, Encoder};
use proptest::prelude::*;

use crate::export::{encoder, outputs};
use crate::fixtures::{every_type, split};

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
    let mut assembler = encoder.assembler();
    let block = assembler.push(block).expect("it is the first");
    let end = assembler.finish().expect("the file can be ended");
    [&block[..], &end].concat()
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
            let expected = bytes(&encoder, std::slice::from_ref(&whole));
            prop_assert!(bytes(&encoder, &batches) == expected, "{output:?}");
        }
    }
}
