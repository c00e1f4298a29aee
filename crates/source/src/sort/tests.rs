use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, MapBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampNanosecondArray, UInt8Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt8Type};
use proptest::prelude::*;

use super::{SortKeys, Sorted, Sorter, TIES_AT_ONCE, order_by, order_in_place};
use crate::blocks::{Block, BlockLimits, Cutter};

/// A number, a key and a time, where only the first is in the file.
type Row = (u8, String, i64);

fn batch(rows: &[Row]) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.0)));
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1)));
    let keys = cast(
        &keys,
        &DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
    );
    let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.2));
    let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
    RecordBatch::try_from_iter([("number", numbers), ("key", keys.unwrap()), ("time", times)])
        .unwrap()
}

/// The time and the key are there for the order alone.
fn keys() -> SortKeys {
    SortKeys {
        hidden: vec![7, 8],
        places: vec![2, 1],
    }
}

/// Sorts rows that come in batches of these sizes, over and over.
fn sorted(rows: &[Row], sizes: &[usize]) -> Sorted {
    let mut sorter = Sorter::new(keys(), usize::MAX, None);
    let mut rest = rows;
    for size in sizes.iter().cycle() {
        let (now, later) = rest.split_at((*size).min(rest.len()));
        assert!(sorter.push(batch(now)));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    sorter.finish().unwrap()
}

fn numbers(block: &Block) -> Vec<u8> {
    let value = |batch: &RecordBatch, row| batch.column(0).as_primitive::<UInt8Type>().value(row);
    assert!(block.batches.iter().all(|batch| batch.num_columns() == 1));
    match &block.order {
        Some(order) => order
            .iter()
            .map(|(number, row)| value(&block.batches[*number], *row))
            .collect(),
        None => block
            .batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|row| value(batch, row)))
            .collect(),
    }
}

prop_compose! {
    fn rows()(rows in prop::collection::vec((any::<u8>(), "[ab]{0,2}", -3_i64..5), 0..300)) -> Vec<Row> {
        rows
    }
}

proptest! {
    #[test]
    fn rows_are_in_order_and_cut_in_the_same_places_however_they_come(
        rows in rows(),
        sizes in prop::collection::vec(1_usize..40, 1..4),
        block_rows in 1_usize..50,
        pieces in 1_i64..5,
    ) {
        let mut expected = rows.clone();
        expected.sort_by_key(|(number, key, time)| (*time, key.clone(), *number));
        let expected: Vec<u8> = expected.iter().map(|row| row.0).collect();
        let expected: Vec<&[u8]> = expected.chunks(block_rows).collect();

        let mut cutter = Cutter::new(BlockLimits { rows: block_rows, bytes: usize::MAX });
        let mut blocks = Vec::new();
        for piece in 0..pieces {
            let range = 8 * piece / pieces - 3..8 * (piece + 1) / pieces - 3;
            let piece_rows: Vec<_> =
                rows.iter().filter(|row| range.contains(&row.2)).cloned().collect();
            let sorted = sorted(&piece_rows, &sizes);
            blocks.extend(cutter.push_sorted(sorted, piece + 1 == pieces).unwrap());
        }
        prop_assert!(cutter.take().is_none(), "the last piece has the last block");
        let blocks: Vec<_> = blocks.iter().map(numbers).collect();
        prop_assert_eq!(blocks, expected);
    }
}

#[test]
fn many_rows_of_one_time_are_in_order() {
    let rows: Vec<Row> = (0..20_000_u32)
        .map(|number| {
            let mixed = number.wrapping_mul(2_654_435_761);
            let [low, high, ..] = mixed.to_le_bytes();
            (low, (high % 7).to_string(), i64::from(number / 19_000))
        })
        .collect();
    let mut expected = rows.clone();
    expected.sort_by_key(|(number, key, time)| (*time, key.clone(), *number));
    let expected: Vec<u8> = expected.iter().map(|row| row.0).collect();
    let mut cutter = Cutter::new(BlockLimits {
        rows: rows.len(),
        bytes: usize::MAX,
    });
    let blocks = cutter.push_sorted(sorted(&rows, &[1_000, 77]), true);
    assert_eq!(numbers(&blocks.unwrap()[0]), expected);
}

/// Rows of every kind of column, NULLs and NaN among their values.
fn of_all_kinds(start: u64, rows: u64) -> RecordBatch {
    let mixed = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let numbers = || (start..start + rows).map(mixed);
    let texts = || numbers().map(|n| (n % 5 > 0).then(|| "x".repeat((n % 3) as usize)));
    let floats = [f64::NAN, -0.0, 0.0, 1.5, f64::NEG_INFINITY];
    let lists =
        numbers().map(|n| (n % 7 > 0).then(|| vec![Some((n % 2).cast_signed()); (n % 3) as usize]));
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for n in numbers() {
        if n % 3 > 0 {
            maps.keys().append_value("key");
            maps.values().append_value((n % 4).to_string());
        }
        maps.append(true).unwrap();
    }
    let words: StringArray = texts().collect();
    let dictionary = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    let columns: [(&str, ArrayRef); 6] = [
        (
            "bool",
            Arc::new(
                numbers()
                    .map(|n| (n % 3 > 0).then_some(n % 2 > 0))
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "float",
            Arc::new(Float64Array::from_iter_values(
                numbers().map(|n| floats[(n % 5) as usize]),
            )),
        ),
        ("words", cast(&words, &dictionary).unwrap()),
        ("text", Arc::new(words)),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
        ),
        ("map", Arc::new(maps.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn rows_are_in_one_order_whether_they_are_copied_for_it_or_not() {
    let batches = [
        of_all_kinds(0, 1_000),
        of_all_kinds(500, 1),
        of_all_kinds(700, 2_000),
    ];
    let mut rows = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        rows.extend((0..batch.num_rows()).map(|row| (0, (number, row))));
    }
    assert!(rows.len() <= TIES_AT_ONCE);
    let all = 0..rows.len();
    for columns in [
        vec![0],
        vec![1],
        vec![2],
        vec![3],
        vec![4],
        vec![5],
        vec![5, 4, 0, 1, 2, 3],
    ] {
        let (mut copied, mut in_place) = (rows.clone(), rows.clone());
        let same = order_by(&batches, &columns, &mut copied, std::slice::from_ref(&all)).unwrap();
        let same_in_place = order_in_place(&batches, &columns, &mut in_place, &all).unwrap();
        assert_eq!(copied, in_place, "{columns:?}");
        assert_eq!(same, same_in_place, "{columns:?}");
    }
}

#[test]
fn what_is_left_of_one_answer_joins_the_next_of_another_form() {
    let one = |number: u8, is_plain: bool| {
        let mut batch = batch(&[(number, "key".to_owned(), 0)]);
        if is_plain {
            let mut columns = batch.columns().to_vec();
            columns[1] = cast(&columns[1], &DataType::Utf8).unwrap();
            let names = ["number", "key", "time"].into_iter();
            batch = RecordBatch::try_from_iter(names.zip(columns)).unwrap();
        }
        let all_in_file = SortKeys {
            hidden: Vec::new(),
            places: vec![2, 1],
        };
        let mut sorter = Sorter::new(all_in_file, usize::MAX, None);
        sorter.push(batch);
        sorter.finish().unwrap()
    };
    let mut cutter = Cutter::new(BlockLimits {
        rows: 2,
        bytes: usize::MAX,
    });
    assert!(cutter.push_sorted(one(1, false), false).unwrap().is_empty());
    assert!(cutter.push_sorted(one(2, true), false).unwrap().is_empty());
    let block = cutter.push_sorted(one(3, false), true).unwrap().remove(0);
    assert_eq!(block.order, Some(vec![(0, 0), (0, 1)]));
    let both = &block.batches[0];
    assert_eq!(both.column(0).as_primitive::<UInt8Type>().values(), &[1, 2]);
    let texts = cast(both.column(1), &DataType::Utf8).unwrap();
    let texts: Vec<_> = texts.as_string::<i32>().iter().flatten().collect();
    assert_eq!(texts, ["key", "key"]);
}

#[test]
fn more_bytes_than_allowed_do_not_fit() {
    let rows: Vec<Row> = (0..100)
        .map(|number| (number, "k".repeat(100), 0))
        .collect();
    let mut sorter = Sorter::new(keys(), 25_000, None);
    assert!(sorter.push(batch(&rows)));
    assert!(!sorter.push(batch(&rows)));
}

#[test]
fn no_rows_are_in_order() {
    let sorted = Sorter::new(keys(), 0, None).finish().unwrap();
    assert!(sorted.order.is_empty());
    let mut cutter = Cutter::new(BlockLimits { rows: 1, bytes: 1 });
    assert!(cutter.push_sorted(sorted, true).unwrap().is_empty());
}
