//! Checkpoints that nobody can go on from.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use domain::{Classify, Compression, ErrorClass, ErrorCode, Output, ParquetCompression};
use encode::{CheckpointError, EncodeError};
use proptest::prelude::*;

use crate::export::{Export, csv, encoder, outputs};
use crate::fixtures::{batch, every_type, parquet, texts};

/// Returns three checkpoints of a file, the second for two row groups.
fn checkpoints(output: &Output, blocks: &[RecordBatch]) -> Vec<Bytes> {
    let mut export = Export::new(output, blocks);
    for count in [1, 2, 1] {
        (0..count).for_each(|_| export.push());
        export.checkpoint();
    }
    export.checkpoints
}

fn refusal(output: &Output, schema: &SchemaRef, checkpoints: &[&[u8]]) -> CheckpointError {
    let Err(error) = encoder(output, schema).resume(checkpoints) else {
        panic!("{checkpoints:?} are refused");
    };
    assert_eq!(
        (error.class(), error.code()),
        (ErrorClass::Permanent, ErrorCode::Internal)
    );
    match error {
        EncodeError::Checkpoint(error) => error,
        other => panic!("{other} is about a checkpoint"),
    }
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let blocks = [every_type()];
    let schema = blocks[0].schema();
    for output in outputs() {
        let mut export = Export::new(&output, &blocks);
        export.push();
        export.checkpoint();
        let whole = &export.checkpoints[0];
        let damaged = |bytes: &[u8]| {
            let error = refusal(&output, &schema, &[bytes]);
            assert!(matches!(error, CheckpointError::Damaged), "{error}");
        };
        (1..whole.len()).for_each(|length| damaged(&whole[..length]));
        for position in 0..whole.len() {
            let mut flipped = whole.to_vec();
            flipped[position] ^= 1 << (position % 8);
            damaged(&flipped);
        }
        damaged(&[&whole[..], b"\0"].concat());
        damaged(&[&whole[..], whole].concat());
    }
}

#[test]
fn checkpoints_in_the_wrong_order_are_refused() {
    let blocks = [(); 4].map(|()| every_type());
    let schema = blocks[0].schema();
    let output = parquet(ParquetCompression::Zstd);
    let [one, two, three] = &checkpoints(&output, &blocks)[..] else {
        panic!("there are three")
    };
    for wrong in [
        &[two][..],
        &[two, one],
        &[one, one],
        &[one, three],
        &[one, two, two],
        &[one, two, three, three],
    ] {
        let wrong: Vec<_> = wrong.iter().map(|checkpoint| &checkpoint[..]).collect();
        let error = refusal(&output, &schema, &wrong);
        assert!(matches!(error, CheckpointError::OutOfOrder), "{error}");
    }

    let output = csv(Compression::Gzip);
    let opened = &checkpoints(&output, &blocks)[0];
    let error = refusal(&output, &schema, &[opened, opened]);
    assert!(matches!(error, CheckpointError::OutOfOrder), "{error}");
}

#[test]
fn a_checkpoint_of_another_file_is_refused() {
    let mine = texts(&[Some("a")]);
    let other = batch(vec![("other", mine.column(0).clone())]);
    let checkpoint = |output: &Output, block: &RecordBatch| {
        let blocks = [block.clone()];
        let mut export = Export::new(output, &blocks);
        export.push();
        export.checkpoint();
        export.checkpoints.remove(0)
    };
    let pages = parquet(ParquetCompression::Zstd);
    let lines = csv(Compression::Gzip);
    for (output, foreign) in [
        (&pages, checkpoint(&pages, &other)),
        (&lines, checkpoint(&lines, &other)),
        (&lines, checkpoint(&csv(Compression::Zstd), &mine)),
        (&lines, checkpoint(&pages, &mine)),
    ] {
        let error = refusal(output, &mine.schema(), &[&foreign]);
        assert!(matches!(error, CheckpointError::Foreign), "{error}");
    }
    let error = refusal(&pages, &mine.schema(), &[&checkpoint(&lines, &mine)]);
    assert!(matches!(error, CheckpointError::Parquet(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused(
        output in prop::sample::select(outputs()),
        bytes in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        refusal(&output, &every_type().schema(), &[&bytes]);
    }
}
