//! Reading the rows of a slice: one task takes them from the network, one thread decodes them, so that
//! neither waits for the other and the asynchronous runtime never decodes.
//!
//! In the order of storage a slice is one query. In the order of time it is several, one after the
//! other, each of a range whose rows are sorted in memory. While the rows of one are encoded the next one
//! is read; the one after that waits until they are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use domain::TimeRange;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::blocks::{Block, BlockLimits, MOST_BYTES};
use crate::client::ClickHouse;
use crate::error::SourceError;
use crate::query::Query;
use crate::slice::Reading;

/// How many ranges may be in memory that are sorted here.
const RANGES: usize = 2;

/// What the reading of a query may hold in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// How large a block may be.
    pub block: BlockLimits,
    /// Up to how many bytes, roughly, rows are sorted here. ClickHouse sorts where more rows have the
    /// same time. In memory is up to twice as much: rows that are handed on until the last of them is
    /// encoded, and those that are read meanwhile.
    pub sort_bytes: usize,
}

/// What is read at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The time of its rows.
    pub range: TimeRange,
    /// About how many rows there are.
    pub rows: u64,
}

/// Reads the slices of a query, one at a time: whoever keeps the blocks of one holds up the next.
pub struct SliceReader {
    shared: Arc<Shared>,
}

/// What its slices share.
pub(crate) struct Shared {
    pub(crate) clickhouse: ClickHouse,
    pub(crate) query: Query,
    pub(crate) limits: ReadLimits,
    /// Room for ranges that are sorted here.
    pub(crate) ranges: Arc<Semaphore>,
    /// What a row took in memory in the last answer; 0 where that is not known.
    pub(crate) row_bytes: AtomicU64,
    /// Whether counting a slice took too long.
    pub(crate) counts_slowly: AtomicBool,
    /// How many slices were begun.
    pub(crate) slices: AtomicUsize,
}

/// The rows of a slice, block by block. Dropping it ends the query.
pub struct Blocks {
    receiver: mpsc::Receiver<Block>,
    /// Ends when all was read and decoded, or could not be.
    task: JoinHandle<Result<(), SourceError>>,
    state: State,
}

enum State {
    Running,
    Whole,
    Failed,
}

impl ClickHouse {
    /// Returns what reads the rows of a query.
    pub fn reader(&self, query: &Query, limits: ReadLimits) -> SliceReader {
        let shared = Shared {
            clickhouse: self.clone(),
            query: query.clone(),
            limits: ReadLimits {
                sort_bytes: limits.sort_bytes.min(MOST_BYTES),
                ..limits
            },
            ranges: Arc::new(Semaphore::new(RANGES)),
            row_bytes: AtomicU64::new(0),
            counts_slowly: AtomicBool::new(false),
            slices: AtomicUsize::new(0),
        };
        SliceReader {
            shared: Arc::new(shared),
        }
    }
}

impl SliceReader {
    /// Starts reading the rows of a slice in order.
    ///
    /// Its queries are called `query_id` and a number in the server's log. None may run already.
    pub fn read(&self, slice: Slice, query_id: &str) -> Blocks {
        let (blocks, receiver) = mpsc::channel(1);
        let reading = Reading::new(Arc::clone(&self.shared), slice, query_id, blocks);
        Blocks {
            receiver,
            task: tokio::spawn(reading.run()),
            state: State::Running,
        }
    }
}

impl Blocks {
    /// Returns the next block, or `None` once the whole slice was read.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses the query, or an answer broke off, stalled, or is
    /// wrong; the blocks so far are then worth nothing.
    pub async fn next(&mut self) -> Result<Option<Block>, SourceError> {
        if let Some(block) = self.receiver.recv().await {
            return Ok(Some(block));
        }
        match self.state {
            State::Running => {
                let outcome = (&mut self.task)
                    .await
                    .map_err(SourceError::Stopped)
                    .flatten();
                self.state = match &outcome {
                    Ok(()) => State::Whole,
                    Err(_) => State::Failed,
                };
                outcome.map(|()| None)
            }
            State::Whole => Ok(None),
            State::Failed => Err(SourceError::Truncated),
        }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // The connection is closed with the task, and the decoder ends with its channel.
        self.task.abort();
    }
}
