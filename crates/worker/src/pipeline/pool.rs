//! Encoding threads: CPU work of all jobs, away from the async runtime.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender};
use encode::{BlockPosition, EncodeError, EncodedBlock, Encoder};
use tokio::sync::oneshot;

/// A pool of threads that encode blocks. Clones share the threads, which end with the last clone.
#[derive(Clone)]
pub struct EncodePool {
    blocks: Sender<Block>,
}

struct Block {
    encoder: Arc<Encoder>,
    batches: Vec<RecordBatch>,
    position: BlockPosition,
    done: oneshot::Sender<Result<EncodedBlock, EncodeError>>,
}

/// A block that is being encoded, or waits for it.
pub type Encoding = oneshot::Receiver<Result<EncodedBlock, EncodeError>>;

impl EncodePool {
    /// Starts `threads` threads with room for `capacity` blocks that wait.
    ///
    /// # Errors
    ///
    /// When the operating system refuses a thread.
    pub fn start(threads: NonZeroUsize, capacity: usize) -> io::Result<Self> {
        let (blocks, work) = crossbeam_channel::bounded(capacity);
        for index in 0..threads.get() {
            let work = work.clone();
            thread::Builder::new()
                .name(format!("encode-{index}"))
                .spawn(move || encode_all(&work))?;
        }
        Ok(Self { blocks })
    }

    /// Hands a block to the threads.
    ///
    /// # Errors
    ///
    /// When there is no room.
    pub fn submit(
        &self,
        encoder: Arc<Encoder>,
        batches: Vec<RecordBatch>,
        position: BlockPosition,
    ) -> Result<Encoding, NoRoom> {
        let (done, encoding) = oneshot::channel();
        let block = Block {
            encoder,
            batches,
            position,
            done,
        };
        self.blocks.try_send(block).map_err(|_| NoRoom)?;
        Ok(encoding)
    }
}

/// More blocks were submitted than the pool was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encoding threads have no room for a block")]
pub struct NoRoom;

fn encode_all(work: &Receiver<Block>) {
    for block in work {
        if block.done.is_closed() {
            continue;
        }
        let result = block.encoder.encode(&block.batches, block.position);
        // The memory of the rows goes before the bytes arrive at whoever waits for room.
        drop(block.batches);
        let _ = block.done.send(result);
    }
}
