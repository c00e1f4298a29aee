//! How large a file will be at most, which is asked before a block is put into it.

use std::slice::from_ref;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use encode::{Assembler, BlockPosition, EncodedBlock, Encoder};

use crate::export::{encoder, outputs};
use crate::fixtures::every_type;

/// What a bound may be too high by, for each block.
const SLACK: u64 = 16 * 1024;

fn blocks() -> Vec<RecordBatch> {
    let of_rows: [&[u32]; 5] = [&[0, 1, 2], &[2; 1_000], &[], &[1], &[2, 1, 0, 0]];
    let rows = |rows: &[u32]| take_record_batch(&every_type(), &UInt32Array::from(rows.to_vec()));
    of_rows
        .map(|of_rows| rows(of_rows).expect("there are the rows"))
        .to_vec()
}

fn encode(encoder: &Encoder, batch: &RecordBatch, position: BlockPosition) -> EncodedBlock {
    let block = encoder.encode(from_ref(batch), position);
    block.expect("the batch can be encoded")
}

/// Pushes blocks, and returns how many bytes the file has so far.
fn push(
    encoder: &Encoder,
    assembler: &mut Assembler,
    batches: &[RecordBatch],
    first: BlockPosition,
) -> u64 {
    let positions = [first].into_iter().chain([BlockPosition::Later; 9]);
    let pushed = batches.iter().zip(positions).map(|(batch, position)| {
        let bytes = assembler.push(encode(encoder, batch, position));
        bytes.expect("the block belongs there").len() as u64
    });
    pushed.sum()
}

#[test]
fn a_file_has_no_more_bytes_than_were_said() {
    for output in outputs() {
        let blocks = blocks();
        let encoder = encoder(&output, blocks[0].schema_ref());
        for first in [BlockPosition::First, BlockPosition::Later] {
            for last in 0..blocks.len() {
                let mut assembler = encoder.assembler();
                push(&encoder, &mut assembler, &blocks[..last], first);
                let position = if last == 0 {
                    first
                } else {
                    BlockPosition::Later
                };
                let block = encode(&encoder, &blocks[last], position);
                let most = assembler.most_bytes_with(&block).expect("it fits");
                let pushed = assembler.push(block).expect("it fits").len();
                let end = assembler.finish().expect("the file can be ended").len();
                let bytes = (pushed + end) as u64;
                let enough = bytes..=bytes + (last as u64 + 1) * SLACK;
                if blocks[last].num_rows() > 0 {
                    assert!(enough.contains(&most), "{output:?}: {most} for {bytes}");
                }
            }
        }
    }
}

#[test]
fn whoever_goes_on_with_a_file_says_the_same() {
    for output in outputs() {
        let blocks = blocks();
        let encoder = encoder(&output, blocks[0].schema_ref());
        let mut assembler = encoder.assembler();
        let mut checkpoints = Vec::new();
        for batch in &blocks {
            let position = if checkpoints.is_empty() {
                BlockPosition::First
            } else {
                BlockPosition::Later
            };
            let block = encode(&encoder, batch, position);
            let mut resumed = encoder.resume(&checkpoints).expect("they are whole");
            assert_eq!(
                resumed.most_bytes_with(&block).expect("it fits"),
                assembler.most_bytes_with(&block).expect("it fits"),
                "{output:?}"
            );
            assembler.push(block).expect("it fits");
            checkpoints.push(assembler.checkpoint().expect("the state can be kept"));
        }
    }
}
