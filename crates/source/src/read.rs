//! Reading an answer: one task takes it from the network, one thread decodes it, so that neither
//! waits for the other and the asynchronous runtime never decodes.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use clickhouse::query::BytesCursor;
use domain::TimeRange;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::blocks::{BlockLimits, Cutter};
use crate::client::ClickHouse;
use crate::decode::Decoder;
use crate::error::SourceError;
use crate::exception::Exception;
use crate::query::Query;
use crate::sql::{self, Statement};

/// Chunks that wait for the decoder; each is at most what one read from the socket gives.
const CHUNKS_AHEAD: usize = 8;

/// How much of the end of an answer is kept, in case that it is an exception.
const TAIL_BYTES: usize = 16 * 1024;

/// The rows of an answer, block by block. Dropping it ends the query.
pub struct Blocks {
    receiver: mpsc::Receiver<RecordBatch>,
    /// Ends when the answer was read and decoded, or could not be.
    task: JoinHandle<Result<(), SourceError>>,
    state: State,
    rows: u64,
}

enum State {
    Running,
    Whole,
    Failed,
}

impl ClickHouse {
    /// Starts reading the rows of a slice in order.
    ///
    /// `query_id` is the query's name in the server's log, and must not be one that runs already.
    /// Returns when the first bytes are there.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, or refuses the query.
    pub async fn read(
        &self,
        query: &Query,
        slice: TimeRange,
        query_id: &str,
        limits: BlockLimits,
    ) -> Result<Blocks, SourceError> {
        let statement = sql::rows(query, slice);
        self.stream(statement, query.schema(), Some(query_id), limits)
            .await
    }

    /// Starts reading the answer to any query.
    pub(crate) async fn stream(
        &self,
        statement: Statement,
        schema: SchemaRef,
        query_id: Option<&str>,
        limits: BlockLimits,
    ) -> Result<Blocks, SourceError> {
        let mut cursor = self.fetch(statement, query_id)?;
        let first = next(&mut cursor, self.first_timeout()).await?;
        let (block_sender, receiver) = mpsc::channel(1);
        let idle_timeout = self.idle_timeout();
        let task = tokio::spawn(async move {
            let (chunk_sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
            let thread = spawn_blocking(move || decode(chunks, &schema, limits, &block_sender));
            let (ended, tail) = receive(first, cursor, idle_timeout, chunk_sender).await;
            outcome(ended, thread.await.map_err(SourceError::Stopped)?, &tail)
        });
        Ok(Blocks {
            receiver,
            task,
            state: State::Running,
            rows: 0,
        })
    }
}

impl Blocks {
    /// Returns the next block, or `None` once the whole answer was read.
    ///
    /// # Errors
    ///
    /// When the answer broke off, stalled, or is wrong; the blocks so far are then worth nothing.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        if let Some(block) = self.receiver.recv().await {
            self.rows += block.num_rows() as u64;
            return Ok(Some(block));
        }
        match self.state {
            State::Running => {
                let outcome = (&mut self.task)
                    .await
                    .map_err(SourceError::Stopped)
                    .flatten();
                self.state = if outcome.is_ok() {
                    State::Whole
                } else {
                    State::Failed
                };
                outcome.map(|()| None)
            }
            State::Whole => Ok(None),
            State::Failed => Err(SourceError::Truncated),
        }
    }

    /// Returns how many rows the blocks so far had.
    pub fn rows_read(&self) -> u64 {
        self.rows
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // The connection is closed with the task, and the decoder ends with its channel.
        self.task.abort();
    }
}

/// Tells the reason where the network and the decoder both have something to say.
fn outcome(
    received: Result<(), SourceError>,
    decoded: Result<(), SourceError>,
    tail: &Tail,
) -> Result<(), SourceError> {
    match (received, decoded) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(error @ (SourceError::Engine(_) | SourceError::Stalled(_))), _) => Err(error),
        (Err(error), _) | (Ok(()), Err(error)) => {
            Err(tail.exception().map_or(error, SourceError::Engine))
        }
    }
}

/// Takes chunks from the network until the answer ends or nobody wants more.
async fn receive(
    first: Option<Bytes>,
    mut cursor: BytesCursor,
    idle_timeout: Duration,
    chunks: mpsc::Sender<Bytes>,
) -> (Result<(), SourceError>, Tail) {
    let mut tail = Tail::default();
    let mut chunk = Ok(first);
    loop {
        match chunk {
            Ok(Some(bytes)) => {
                tail.push(&bytes);
                if chunks.send(bytes).await.is_err() {
                    return (Ok(()), tail);
                }
            }
            Ok(None) => return (Ok(()), tail),
            Err(error) => return (Err(error), tail),
        }
        chunk = next(&mut cursor, idle_timeout).await;
    }
}

async fn next(cursor: &mut BytesCursor, timeout: Duration) -> Result<Option<Bytes>, SourceError> {
    tokio::time::timeout(timeout, cursor.next())
        .await
        .map_err(|_| SourceError::Stalled(timeout))?
        .map_err(SourceError::from)
}

/// Decodes chunks to blocks, on a thread of its own.
fn decode(
    mut chunks: mpsc::Receiver<Bytes>,
    schema: &SchemaRef,
    limits: BlockLimits,
    blocks: &mpsc::Sender<RecordBatch>,
) -> Result<(), SourceError> {
    let mut decoder = Decoder::new(Arc::clone(schema));
    let mut cutter = Cutter::new(limits, Arc::clone(schema));
    // That nobody wants the blocks any more is no error of anybody's.
    let send = |block| blocks.blocking_send(block).unwrap_or(());
    while let Some(chunk) = chunks.blocking_recv() {
        decoder.push(chunk, |batch| {
            cutter
                .push(&batch)
                .map_err(SourceError::Decode)?
                .into_iter()
                .for_each(send);
            Ok(())
        })?;
    }
    decoder.finish()?;
    cutter
        .take()
        .map_err(SourceError::Decode)?
        .into_iter()
        .for_each(send);
    Ok(())
}

/// The last bytes of an answer.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let excess = (self.0.len() + kept.len()).saturating_sub(TAIL_BYTES);
        self.0.drain(..excess);
        self.0.extend_from_slice(kept);
    }

    fn exception(&self) -> Option<Exception> {
        Exception::find_last(&self.0)
    }
}
