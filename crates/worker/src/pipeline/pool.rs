//! Encoding threads: CPU work of all jobs, away from the async runtime.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender};
use encode::{BlockPosition, EncodeError, EncodedBlock, Encoder};
use source::Block;
use tokio::sync::oneshot;

/// A pool of threads that encode blocks. Clones share the threads, which end with the last clone.
#[derive(Clone)]
pub struct EncodePool {
    work: Sender<Work>,
}

struct Work {
    encoder: Arc<Encoder>,
    block: Block,
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
        let (work, all) = crossbeam_channel::bounded(capacity);
        for index in 0..threads.get() {
            let all = all.clone();
            thread::Builder::new()
                .name(format!("encode-{index}"))
                .spawn(move || encode_all(&all))?;
        }
        Ok(Self { work })
    }

    /// Hands a block to the threads.
    ///
    /// # Errors
    ///
    /// When there is no room.
    pub fn submit(
        &self,
        encoder: Arc<Encoder>,
        block: Block,
        position: BlockPosition,
    ) -> Result<Encoding, NoRoom> {
        let (done, encoding) = oneshot::channel();
        let work = Work {
            encoder,
            block,
            position,
            done,
        };
        self.work.try_send(work).map_err(|_| NoRoom)?;
        Ok(encoding)
    }
}

/// More blocks were submitted than the pool was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encoding threads have no room for a block")]
pub struct NoRoom;

fn encode_all(all: &Receiver<Work>) {
    for work in all {
        if work.done.is_closed() {
            continue;
        }
        let Block { batches, order } = work.block;
        let result = match &order {
            Some(order) => work.encoder.encode_in_order(&batches, order, work.position),
            None => work.encoder.encode(&batches, work.position),
        };
        // The memory of the rows goes before the bytes arrive at whoever waits for room.
        drop((batches, order));
        let _ = work.done.send(result);
    }
}
