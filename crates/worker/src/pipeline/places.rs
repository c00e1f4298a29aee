//! Where blocks stand in their files, and where a file of so many rows ends within a block.

use domain::Split;
use encode::BlockPosition;
use source::Block;

/// The places of blocks that come one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    split: Option<Split>,
    /// How many rows of the export there were.
    rows: u64,
}

impl Places {
    /// Starts behind `rows` rows.
    pub(super) fn behind(rows: u64, split: Option<Split>) -> Self {
        Self { split, rows }
    }

    /// Places the next block, and takes away from it what belongs into the next file.
    ///
    /// In files of so many bytes only the writer knows which block is the first, which opens the file then.
    pub(super) fn place(&mut self, block: &mut Block) -> (BlockPosition, Option<Block>) {
        let (before, rest) = match self.split {
            Some(Split::Rows(most)) => {
                let before = self.rows % most;
                let room = usize::try_from(most - before).unwrap_or(usize::MAX);
                (before, block.split_off(room))
            }
            Some(Split::Bytes(_)) | None => (self.rows, None),
        };
        self.rows += block.rows() as u64;
        let position = if before == 0 {
            BlockPosition::First
        } else {
            BlockPosition::Later
        };
        (position, rest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
    use domain::Split;
    use encode::BlockPosition;
    use proptest::prelude::*;
    use source::Block;

    use super::Places;

    fn block(rows: usize) -> Block {
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![0; rows]));
        let batch = RecordBatch::try_from_iter([("number", column)]).unwrap();
        Block::of(vec![batch])
    }

    /// Returns the rows of the pieces of some blocks, and whether each begins a file.
    fn pieces(mut places: Places, blocks: &[usize]) -> Vec<(usize, bool)> {
        let mut pieces = Vec::new();
        for rows in blocks {
            let mut next = Some(block(*rows));
            while let Some(mut block) = next {
                let position;
                (position, next) = places.place(&mut block);
                pieces.push((block.rows(), position == BlockPosition::First));
            }
        }
        pieces
    }

    proptest! {
        #[test]
        fn every_file_but_the_last_has_exactly_so_many_rows(
            blocks in prop::collection::vec(1_usize..50, 1..40),
            most in 1_u64..120,
            resumed_at in any::<prop::sample::Index>(),
        ) {
            let split = Some(Split::Rows(most));
            let pieces_of = |rows, blocks: &[usize]| pieces(Places::behind(rows, split), blocks);
            let whole = pieces_of(0, &blocks);
            let mut files: Vec<u64> = Vec::new();
            for (rows, is_first) in &whole {
                if *is_first {
                    files.push(0);
                }
                *files.last_mut().unwrap() += *rows as u64;
            }
            let last = files.pop().unwrap();
            prop_assert!((1..=most).contains(&last));
            prop_assert!(files.iter().all(|rows| *rows == most));

            // Whoever goes on behind some blocks cuts the others in the same way.
            let (before, after) = blocks.split_at(resumed_at.index(blocks.len()));
            let mut resumed = pieces_of(0, before);
            resumed.extend(pieces_of(before.iter().sum::<usize>() as u64, after));
            prop_assert_eq!(resumed, whole);
        }
    }

    #[test]
    fn only_the_first_block_of_an_export_opens_its_file_otherwise() {
        for split in [None, Some(Split::Bytes(10))] {
            let places = Places::behind(0, split);
            assert_eq!(pieces(places, &[5, 7]), [(5, true), (7, false)]);
            assert_eq!(pieces(Places::behind(5, split), &[7]), [(7, false)]);
        }
    }
}
