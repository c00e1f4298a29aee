//! Reading an answer: one task takes it from the network, one thread decodes it, so that neither
//! waits for the other and the asynchronous runtime never decodes.

use arrow::array::RecordBatch;
use bytes::Bytes;
use domain::TimeRange;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::answer::Answer;
use crate::blocks::{BlockLimits, Cutter};
use crate::client::ClickHouse;
use crate::decode::Decoder;
use crate::error::SourceError;
use crate::query::Query;
use crate::sql;

/// Chunks that wait for the decoder; each is at most what one read from the socket gives.
const CHUNKS_AHEAD: usize = 8;

/// The rows of an answer, block by block. Dropping it ends the query.
pub struct Blocks {
    receiver: mpsc::Receiver<Vec<RecordBatch>>,
    /// Ends when the answer was read and decoded, or could not be.
    task: JoinHandle<Result<(), SourceError>>,
    state: State,
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
        let mut answer = self.ask(sql::rows(query, slice), query_id).await?;
        let Some(first) = answer.chunk().await? else {
            return self.nothing(query, slice).await;
        };
        answer.check_encoding()?;
        let decoder = Decoder::new(query.schema(), answer.exception_tag());
        let cutter = Cutter::new(limits);
        let (block_sender, receiver) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let (chunk_sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
            let thread = spawn_blocking(move || decode(chunks, decoder, cutter, &block_sender));
            let arrived = receive(first, answer, chunk_sender).await;
            outcome(arrived, thread.await.map_err(SourceError::Stopped)?)
        });
        Ok(Blocks {
            receiver,
            task,
            state: State::Running,
        })
    }

    /// Believes an answer of no bytes if there are no rows: ClickHouse packs nothing into nothing.
    async fn nothing(&self, query: &Query, slice: TimeRange) -> Result<Blocks, SourceError> {
        let counts: Vec<u64> = self.fetch_all(sql::count(query, slice)).await?;
        if counts.iter().any(|rows| *rows > 0) {
            return Err(SourceError::Truncated);
        }
        let (_, receiver) = mpsc::channel(1);
        Ok(Blocks {
            receiver,
            task: tokio::spawn(async { Ok(()) }),
            state: State::Running,
        })
    }
}

impl Blocks {
    /// Returns the next block, or `None` once the whole answer was read.
    ///
    /// A block comes in batches that follow each other. Their columns have the names of the query's
    /// schema and values of its types; a text may come in a dictionary, which is the batch's own.
    ///
    /// # Errors
    ///
    /// When the answer broke off, stalled, or is wrong; the blocks so far are then worth nothing.
    pub async fn next(&mut self) -> Result<Option<Vec<RecordBatch>>, SourceError> {
        if let Some(block) = self.receiver.recv().await {
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
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // The connection is closed with the task, and the decoder ends with its channel.
        self.task.abort();
    }
}

/// Tells the reason where the network and the decoder both have something to say.
fn outcome(
    arrived: Result<(), SourceError>,
    decoded: Result<(), SourceError>,
) -> Result<(), SourceError> {
    match (arrived, decoded) {
        // That of a broken connection was cut is nothing new.
        (Err(error), Err(SourceError::Truncated)) => Err(error),
        (_, decoded) => decoded,
    }
}

/// Takes chunks from the network until the answer ends or nobody wants more.
async fn receive(
    first: Bytes,
    mut answer: Answer,
    chunks: mpsc::Sender<Bytes>,
) -> Result<(), SourceError> {
    let mut chunk = Some(first);
    while let Some(bytes) = chunk {
        if chunks.send(bytes).await.is_err() {
            break;
        }
        chunk = answer.chunk().await?;
    }
    Ok(())
}

/// Decodes chunks to blocks, on a thread of its own.
fn decode(
    mut chunks: mpsc::Receiver<Bytes>,
    decoder: Decoder,
    mut cutter: Cutter,
    blocks: &mpsc::Sender<Vec<RecordBatch>>,
) -> Result<(), SourceError> {
    // That nobody wants the blocks any more is no error of anybody's.
    let send = |block| blocks.blocking_send(block).unwrap_or(());
    let chunks = std::iter::from_fn(|| chunks.blocking_recv());
    decoder.decode(chunks, |batch| {
        cutter.push(&batch).into_iter().for_each(send);
    })?;
    cutter.take().into_iter().for_each(send);
    Ok(())
}
