//! Files that one process begins and another ends.

use std::slice::from_ref;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Fields, Schema};
use bytes::Bytes;
use domain::{Output, ParquetCompression};
use encode::{BlockPosition, EncodeError};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;
use proptest::prelude::*;

use crate::export::Event::{self, Block, Checkpoint, Crash};
use crate::export::{Export, encoder, outputs};
use crate::fixtures::{batch, every_type, file, parquet, split, texts};

/// Checks that a file is the same whatever happened.
fn check(output: &Output, blocks: &[RecordBatch], events: &[Event]) -> Vec<u8> {
    let whole = Export::new(output, blocks).file(&[]);
    let resumed = Export::new(output, blocks).file(events);
    assert!(whole == resumed, "{output:?} {events:?}");
    whole
}

/// Makes a block of rows of [`every_type`]: usual values, corners, NULLs.
fn rows(rows: &[u32]) -> RecordBatch {
    take_record_batch(&every_type(), &UInt32Array::from(rows.to_vec())).expect("there are the rows")
}

fn blocks() -> Vec<RecordBatch> {
    let of_rows: [&[u32]; 7] = [&[], &[0, 1, 2], &[2, 2], &[], &[1], &[0], &[2, 1, 0, 0]];
    of_rows.map(rows).to_vec()
}

/// Makes blocks of many pages: dictionaries that are given up, texts that are too long for whole
/// statistics, NULLs by the page.
fn long_blocks() -> Vec<RecordBatch> {
    let numbers = 0..60_000_u32;
    let long: StringArray = numbers.clone().map(|n| Some(format!("{n:0100}"))).collect();
    let sparse: Int64Array = numbers
        .clone()
        .map(|n| (n / 25_000 == 1).then_some(i64::from(n) - 40_000))
        .collect();
    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(numbers.map(u64::from)));
    let columns = batch(vec![
        ("number", numbers),
        ("long", Arc::new(long)),
        ("sparse", Arc::new(sparse)),
    ]);
    split(&columns, &[30_000, 1])
}

#[test]
fn a_file_can_be_cut_behind_every_block() {
    for output in outputs() {
        for cut in 0..=blocks().len() {
            let mut events = vec![Block; cut];
            events.extend([Checkpoint, Block, Crash]);
            check(&output, &blocks(), &events);
        }
    }
}

#[test]
fn a_file_can_be_cut_often() {
    for output in outputs() {
        for events in [
            &[Checkpoint, Crash][..],
            &[Crash, Block, Crash, Block, Block, Crash],
            &[
                Block, Block, Checkpoint, Checkpoint, Crash, Checkpoint, Crash,
            ],
            &[
                Block, Block, Checkpoint, Block, Checkpoint, Block, Block, Checkpoint, Crash,
            ],
            &[
                Block, Block, Checkpoint, Crash, Block, Block, Checkpoint, Crash, Block, Checkpoint,
            ],
        ] {
            check(&output, &blocks(), events);
        }
    }
}

#[test]
fn a_checkpoint_does_not_change_the_file() {
    for output in outputs() {
        check(
            &output,
            &blocks(),
            &[Block, Block, Checkpoint, Block, Block, Checkpoint],
        );
    }
}

#[test]
fn what_is_known_already_is_not_in_a_checkpoint() {
    for output in outputs() {
        let blocks = blocks();
        let mut export = Export::new(&output, &blocks);
        export.checkpoint();
        export.push();
        export.checkpoint();
        export.push();
        export.checkpoint();
        export.checkpoint();
        export.crash();
        export.checkpoint();
        let known: Vec<_> = export.checkpoints.iter().map(Bytes::is_empty).collect();
        assert_eq!(known, [true, true, false, true, true], "{output:?}");
    }
}

#[test]
fn the_first_block_is_known_by_the_rows_before_it() {
    let blocks = blocks();
    for output in outputs() {
        let encoder = encoder(&output, blocks[0].schema_ref());
        let first = || {
            encoder
                .encode(from_ref(&blocks[1]), BlockPosition::First)
                .unwrap()
        };
        let mut begun = encoder.assembler();
        assert_eq!(begun.checkpoint().unwrap(), "");
        let mut resumed = encoder.resume([""]).unwrap();
        assert_eq!(resumed.push(first()).unwrap(), begun.push(first()).unwrap());

        let checkpoint = resumed.checkpoint().unwrap();
        let again = encoder.resume([&checkpoint]).unwrap().push(first());
        if let Output::Parquet { .. } = output {
            again.unwrap();
        } else {
            assert!(matches!(again, Err(EncodeError::MisplacedBlock)));
        }
    }
}

#[test]
fn a_resumed_parquet_file_is_read_like_any_other() {
    for blocks in [blocks(), long_blocks()] {
        let file = check(
            &parquet(ParquetCompression::Zstd),
            &blocks,
            &[Block, Block, Checkpoint, Block, Checkpoint, Crash],
        );
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(
            Bytes::from(file),
            ArrowReaderOptions::new()
                .with_page_index_policy(PageIndexPolicy::Required)
                .with_encoding_stats_as_mask(false),
        )
        .unwrap();
        for (number, row_group) in builder.metadata().row_groups().iter().enumerate() {
            let indexes = builder.metadata().page_index_for_row_group(number);
            assert_eq!(row_group.ordinal(), i32::try_from(number).ok());
            for (column, chunk) in row_group.columns().iter().enumerate() {
                let is_nested = chunk.column_path().parts().len() > 1;
                assert_eq!(chunk.statistics().is_none(), is_nested);
                assert_eq!(indexes.column_index(column).is_none(), is_nested);
                assert!(chunk.page_encoding_stats().is_some());
                assert!(indexes.offset_index(column).is_some());
            }
        }
        let rows: usize = builder
            .build()
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum();
        assert_eq!(
            rows,
            blocks.iter().map(RecordBatch::num_rows).sum::<usize>()
        );
    }
}

#[test]
fn columns_without_null_are_resumed_too() {
    let nullable = every_type().slice(0, 2);
    let fields = nullable
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let required = nullable
                .column_by_name(field.name())
                .expect("it is there")
                .null_count()
                == 0;
            Arc::new(Field::clone(field).with_nullable(!required))
        })
        .collect::<Fields>();
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new(schema, nullable.columns().to_vec()).unwrap();
    assert!(
        rows.schema()
            .fields()
            .iter()
            .all(|field| !field.is_nullable())
    );
    let blocks = split(&rows, &[1]);
    for output in outputs() {
        check(&output, &blocks, &[Block, Checkpoint, Crash]);
    }
}

#[test]
fn row_groups_beyond_the_last_ordinal_are_resumed_too() {
    let blocks = vec![texts(&[Some("a")]); usize::from(u16::MAX / 2) + 3];
    let mut events = vec![Block; blocks.len() - 2];
    events.extend([Checkpoint, Block, Checkpoint, Crash]);
    check(&parquet(ParquetCompression::None), &blocks, &events);
}

#[test]
fn nothing_to_resume_is_a_new_file() {
    let batch = every_type();
    for output in outputs() {
        let encoder = encoder(&output, batch.schema_ref());
        let none: [&[u8]; 0] = [];
        let block = encoder
            .encode(from_ref(&batch), BlockPosition::First)
            .unwrap();
        let mut assembler = encoder.resume(none).unwrap();
        let mut resumed = assembler.push(block).unwrap().to_vec();
        resumed.extend_from_slice(&assembler.finish().unwrap());
        assert!(resumed == file(&output, batch.schema_ref(), from_ref(&batch)));
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![3 => Just(Block), 2 => Just(Checkpoint), 1 => Just(Crash)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn interruptions_do_not_show(
        output in prop::sample::select(outputs()),
        of_rows in prop::collection::vec(prop::collection::vec(0_u32..3, 0..6), 1..8),
        events in prop::collection::vec(event(), 0..20),
    ) {
        let blocks: Vec<_> = of_rows.iter().map(|of_rows| rows(of_rows)).collect();
        check(&output, &blocks, &events);
    }
}
