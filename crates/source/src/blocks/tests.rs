use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::concat_batches;
use proptest::prelude::*;

use super::{Block, BlockLimits, Cutter, bytes_of_all, gather_all};

fn batch(texts: &[String]) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..texts.len() as u64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).unwrap()
}

/// Cuts rows that come in batches of these sizes, over and over.
fn cut(whole: &RecordBatch, sizes: &[usize], limits: BlockLimits) -> Vec<RecordBatch> {
    let mut cutter = Cutter::new(limits);
    let mut blocks = Vec::new();
    let mut start = 0;
    for size in sizes.iter().cycle() {
        let size = (*size).min(whole.num_rows() - start);
        blocks.extend(cutter.push(&whole.slice(start, size)));
        start += size;
        if start == whole.num_rows() {
            break;
        }
    }
    blocks.extend(cutter.take());
    let blocks = blocks.iter();
    blocks
        .map(|block| concat_batches(&whole.schema(), block.batches.iter()).unwrap())
        .collect()
}

proptest! {
    #[test]
    fn blocks_are_all_rows_in_order_however_they_came(
        lengths in prop::collection::vec(0_usize..400, 1..200),
        sizes in prop::collection::vec(1_usize..50, 1..5),
        rows in 1_usize..40,
        bytes in 0_usize..2_000,
    ) {
        let texts: Vec<_> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let whole = batch(&texts);
        let limits = BlockLimits { rows, bytes };
        let blocks = cut(&whole, &sizes, limits);
        prop_assert_eq!(concat_batches(&whole.schema(), &blocks).unwrap(), whole.clone());
        prop_assert_eq!(&blocks, &cut(&whole, &[usize::MAX], limits));
        for block in blocks {
            let size = bytes_of_all(&block);
            prop_assert!(block.num_rows() <= rows);
            prop_assert!(size <= bytes || block.num_rows() == 1);
        }
    }
}

proptest! {
    #[test]
    fn a_block_can_be_cut_anywhere(
        sizes in prop::collection::vec(1_usize..20, 1..5),
        at in 0_usize..60,
        sorted in any::<bool>(),
    ) {
        let texts: Vec<_> = (0..sizes.iter().sum()).map(|number: usize| number.to_string()).collect();
        let whole = batch(&texts);
        let mut start = 0;
        let batches: Vec<_> = sizes
            .iter()
            .map(|size| {
                start += size;
                whole.slice(start - size, *size)
            })
            .collect();
        let places = batches.iter().enumerate().rev();
        let order: Vec<_> = places
            .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)))
            .collect();
        let mut kept = Block { batches: Arc::new(batches.into()), order: sorted.then_some(order) };
        let rows = |block: &Block| match &block.order {
            Some(order) => gather_all(&block.batches, order).unwrap(),
            None => concat_batches(&whole.schema(), block.batches.iter()).unwrap(),
        };
        let all = rows(&kept);
        let rest = kept.split_off(at);
        prop_assert_eq!(rest.is_some(), at < texts.len());
        prop_assert_eq!(kept.rows(), at.min(texts.len()));
        let cut = [Some(rows(&kept)), rest.as_ref().map(rows)];
        prop_assert_eq!(concat_batches(&whole.schema(), cut.iter().flatten()).unwrap(), all);
    }
}

#[test]
fn a_row_that_is_too_large_is_a_block_of_its_own() {
    let texts = [
        "a".to_owned(),
        "b".repeat(20 << 20),
        "c".to_owned(),
        "d".to_owned(),
    ];
    let limits = BlockLimits {
        rows: 100,
        bytes: 1 << 20,
    };
    let rows: Vec<_> = cut(&batch(&texts), &[4], limits)
        .iter()
        .map(RecordBatch::num_rows)
        .collect();
    assert_eq!(rows, [1, 1, 2]);
}

#[test]
fn no_rows_are_no_block() {
    let mut cutter = Cutter::new(BlockLimits { rows: 1, bytes: 1 });
    assert!(cutter.push(&batch(&[])).is_empty());
    assert!(cutter.take().is_none());
}

#[test]
fn many_small_batches_become_few() {
    let texts: Vec<_> = (0..1_000).map(|number| format!("text {number}")).collect();
    let whole = batch(&texts);
    let limits = BlockLimits {
        rows: 10_000,
        bytes: 1 << 20,
    };
    let mut cutter = Cutter::new(limits);
    for row in 0..whole.num_rows() {
        assert!(cutter.push(&whole.slice(row, 1)).is_empty());
    }
    let block = cutter.take().unwrap();
    let batches = &block.batches;
    assert!(batches.len() < 100, "{} batches", batches.len());
    assert_eq!(
        concat_batches(&whole.schema(), batches.iter()).unwrap(),
        whole
    );
}

#[test]
fn what_is_in_place_of_a_null_has_no_size() {
    let with = |hidden: &str| -> ArrayRef {
        let texts = StringArray::from(vec!["a", hidden, "b"]);
        let nulls = NullBuffer::from(vec![true, false, true]);
        let (offsets, values, _) = texts.into_parts();
        Arc::new(StringArray::new(offsets, values, Some(nulls)))
    };
    let size = |texts| {
        bytes_of_all(&RecordBatch::try_from_iter_with_nullable([("text", texts, true)]).unwrap())
    };
    assert_eq!(size(with("")), size(with("something")));
}
