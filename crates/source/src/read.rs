//! Reading the rows of a slice: one task takes them from the network, one thread decodes them, so that
//! neither waits for the other and the asynchronous runtime never decodes.
//!
//! In the order of storage a slice is one query. In the order of time it is several, one after the
//! other, each of a range whose rows are sorted in memory. While the rows of one are encoded the next one
//! is read; the one after that waits until they are gone.

use std::cell::Cell;
use std::iter;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use domain::TimeRange;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::answer::Answer;
use crate::blocks::{Block, BlockLimits, Cutter, MOST_BYTES};
use crate::client::ClickHouse;
use crate::decode::Decoder;
use crate::error::SourceError;
use crate::metrics;
use crate::pace::Pace;
use crate::plan::{at, microseconds};
use crate::query::Query;
use crate::sort::{SortKeys, Sorted, Sorter};
use crate::sql::{self, Statement};

/// Chunks that wait for the decoder; each is at most what one read from the socket gives.
const CHUNKS_AHEAD: usize = 8;

/// How many more rows ClickHouse may look at for each row before it is better to have it sort. Where each
/// granule has some rows of the range, looking at a row is reading it, and sorting takes as long as four or five.
const MOST_READ: u64 = 4;

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
struct Shared {
    clickhouse: ClickHouse,
    query: Query,
    limits: ReadLimits,
    /// Room for ranges that are sorted here.
    ranges: Arc<Semaphore>,
    /// What a row took in memory in the last slice that was sorted here, and 0 before.
    row_bytes: AtomicU64,
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
        let reading = Reading {
            shared: Arc::clone(&self.shared),
            slice,
            query_id: query_id.to_owned(),
            queries: AtomicUsize::new(0),
            blocks,
        };
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

/// A slice that is being read.
struct Reading {
    shared: Arc<Shared>,
    slice: Slice,
    query_id: String,
    /// How many queries there were.
    queries: AtomicUsize,
    blocks: mpsc::Sender<Block>,
}

/// What a range of time gave.
enum Piece {
    Sorted(Sorted),
    /// It has more than can be sorted here.
    TooLarge,
}

impl Reading {
    async fn run(self) -> Result<(), SourceError> {
        let cutter = Cutter::new(self.shared.limits.block);
        let mut cutter = match self.shared.query.sort_keys() {
            Some(keys) => self.sort(&keys, cutter).await?,
            None => self.pass_on(self.slice.range, cutter).await?,
        };
        if let Some(block) = cutter.take() {
            self.send(block).await;
        }
        Ok(())
    }

    /// Reads range after range and hands on the rows of one while the next is read.
    async fn sort(&self, keys: &SortKeys, mut cutter: Cutter) -> Result<Cutter, SourceError> {
        let Slice { range, rows } = self.slice;
        let row_bytes = &self.shared.row_bytes;
        let known = NonZeroU64::new(row_bytes.load(Ordering::Relaxed));
        let mut pace = Pace::new(range, rows, known, self.shared.limits.sort_bytes);
        let (mut sorted_bytes, mut sorted_rows) = (0, 0);
        let mut next = self.piece(keys, &mut pace).await?;
        while let Some((range, piece)) = next {
            if let Piece::Sorted(sorted) = &piece {
                sorted_bytes += sorted.bytes;
                sorted_rows += sorted.order.len();
            }
            let is_last = pace.ends_with(range);
            let (ahead, handed_on) = tokio::join!(
                self.piece(keys, &mut pace),
                self.hand_on(range, piece, is_last, cutter)
            );
            cutter = handed_on?;
            next = ahead?;
        }
        if let Some(bytes) = sorted_bytes.checked_div(sorted_rows) {
            row_bytes.store(bytes as u64, Ordering::Relaxed);
        }
        Ok(cutter)
    }

    async fn piece(
        &self,
        keys: &SortKeys,
        pace: &mut Pace,
    ) -> Result<Option<(TimeRange, Piece)>, SourceError> {
        while let Some(range) = pace.range() {
            if let Some((like, queries)) = pace.approve(self.slice.range)
                && !self.are_worth_it(like, queries).await?
            {
                return Ok(pace.rest().map(|rest| (rest, Piece::TooLarge)));
            }
            if let Some(sorted) = self.sorted(range, keys).await? {
                pace.advance(range, sorted.bytes);
                return Ok(Some((range, Piece::Sorted(sorted))));
            }
            if !pace.shorten(range) {
                pace.advance(range, self.shared.limits.sort_bytes);
                return Ok(Some((range, Piece::TooLarge)));
            }
            metrics::shortened();
        }
        Ok(None)
    }

    /// Says whether ClickHouse can be asked for so many ranges like this one without looking at many
    /// rows anew each time, as it must where its primary key does not have the time.
    async fn are_worth_it(&self, range: TimeRange, queries: u64) -> Result<bool, SourceError> {
        let all = self.rows_to_look_at(self.slice.range).await?;
        if all == 0 {
            // Of tables that are elsewhere it says nothing.
            return Ok(false);
        }
        let some = match self.rows_to_look_at(range).await? {
            0 => self.rows_to_look_at_for_some(range).await?,
            some => some,
        };
        let most = all.saturating_add(self.slice.rows.saturating_mul(MOST_READ));
        Ok(some.saturating_mul(queries) <= most)
    }

    /// Returns how many rows ClickHouse looks at for a range that is as long as this one, or up to twice as
    /// long, where most rows are: they need not be everywhere in a slice.
    async fn rows_to_look_at_for_some(&self, like: TimeRange) -> Result<u64, SourceError> {
        let mut range = self.slice.range;
        let mut rows = 0;
        while microseconds(range) / 2 >= microseconds(like).max(1) {
            let middle = at(range.start(), microseconds(range) / 2);
            let halves =
                TimeRange::new(range.start(), middle).zip(TimeRange::new(middle, range.end()));
            let Some((first, second)) = halves else {
                break;
            };
            let of_first = self.rows_to_look_at(first).await?;
            let of_second = self.rows_to_look_at(second).await?;
            rows = of_first.max(of_second);
            range = if of_first < of_second { second } else { first };
        }
        Ok(rows)
    }

    async fn rows_to_look_at(&self, range: TimeRange) -> Result<u64, SourceError> {
        let patience = self.shared.clickhouse.first_timeout();
        let looking = self
            .shared
            .clickhouse
            .rows_to_look_at(&self.shared.query, range, patience);
        looking.await
    }

    /// Reads a range in any order and sorts it, if it is not too large for that.
    async fn sorted(
        &self,
        range: TimeRange,
        keys: &SortKeys,
    ) -> Result<Option<Sorted>, SourceError> {
        // It is never closed.
        let room = Arc::clone(&self.shared.ranges).acquire_owned().await.ok();
        let mut sorter = Sorter::new(keys.clone(), self.shared.limits.sort_bytes, room);
        let statement = sql::unordered_rows(&self.shared.query, range, &keys.hidden);
        let Some(answer) = self.ask(statement, range).await? else {
            return sorter.finish().map(Some);
        };
        let schema = self.shared.query.schema_with(&keys.hidden);
        let collect = move |decoder: Decoder, mut chunks: Chunks| {
            let fits = Cell::new(true);
            let chunks = iter::from_fn(|| fits.get().then(|| chunks.blocking_recv()).flatten());
            let decoded = decoder.decode(chunks, |batch| {
                fits.set(fits.get() && sorter.push(batch));
            });
            if !fits.get() {
                return Ok(None);
            }
            decoded?;
            sorter.finish().map(Some)
        };
        answer.decode(schema, collect).await
    }

    /// Hands on the rows of a range. Returns the cutter with those that make no whole block.
    async fn hand_on(
        &self,
        range: TimeRange,
        piece: Piece,
        is_last: bool,
        mut cutter: Cutter,
    ) -> Result<Cutter, SourceError> {
        let Piece::Sorted(sorted) = piece else {
            return self.pass_on(range, cutter).await;
        };
        let cut = spawn_blocking(move || {
            let blocks = cutter.push_sorted(sorted, is_last)?;
            Ok((blocks, cutter))
        });
        let (blocks, cutter) = cut
            .await
            .map_err(SourceError::Stopped)?
            .map_err(SourceError::Order)?;
        for block in blocks {
            self.send(block).await;
        }
        Ok(cutter)
    }

    /// Hands on the rows of a range in the order in which ClickHouse sends them. Returns the cutter
    /// with those that make no whole block.
    async fn pass_on(&self, range: TimeRange, mut cutter: Cutter) -> Result<Cutter, SourceError> {
        let statement = sql::rows(&self.shared.query, range);
        let Some(answer) = self.ask(statement, range).await? else {
            return Ok(cutter);
        };
        let blocks = self.blocks.clone();
        let cut = move |decoder: Decoder, mut chunks: Chunks| {
            // That nobody wants the blocks any more is no error of anybody's.
            let send = |block| blocks.blocking_send(block).unwrap_or(());
            let chunks = iter::from_fn(|| chunks.blocking_recv());
            decoder.decode(chunks, |batch| {
                cutter.push(&batch).into_iter().for_each(send);
            })?;
            Ok(cutter)
        };
        answer.decode(self.shared.query.schema(), cut).await
    }

    async fn send(&self, block: Block) {
        // That nobody wants it any more is no error of anybody's.
        self.blocks.send(block).await.unwrap_or(());
    }

    /// Asks for rows. Returns nothing if there are none.
    async fn ask(
        &self,
        statement: Statement,
        range: TimeRange,
    ) -> Result<Option<BegunAnswer>, SourceError> {
        let number = self.queries.fetch_add(1, Ordering::Relaxed);
        let query_id = format!("{}-{number}", self.query_id);
        let mut answer = self.shared.clickhouse.ask(statement, &query_id).await?;
        let Some(first) = answer.chunk().await? else {
            return self.nothing(range).await.map(|()| None);
        };
        answer.check_encoding()?;
        Ok(Some(BegunAnswer { first, answer }))
    }

    /// Believes an answer of no bytes if there are no rows: ClickHouse packs nothing into nothing.
    async fn nothing(&self, range: TimeRange) -> Result<(), SourceError> {
        let clickhouse = &self.shared.clickhouse;
        let statement = sql::count(&self.shared.query, range);
        let counts = clickhouse.numbers(statement, clickhouse.first_timeout(), &[]);
        match counts.await?[..] {
            [[0]] => Ok(()),
            _ => Err(SourceError::Truncated),
        }
    }
}

/// An answer with its first bytes.
struct BegunAnswer {
    first: Bytes,
    answer: Answer,
}

type Chunks = mpsc::Receiver<Bytes>;

impl BegunAnswer {
    /// Takes the answer from the network and has `decode` decode it meanwhile, on a thread of its own.
    async fn decode<T: Send + 'static>(
        self,
        schema: SchemaRef,
        decode: impl FnOnce(Decoder, Chunks) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let decoder = Decoder::new(schema, self.answer.exception_tag());
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let thread = spawn_blocking(move || decode(decoder, chunks));
        let arrived = self.receive(sender).await;
        match (arrived, thread.await.map_err(SourceError::Stopped)?) {
            // That what came over a broken connection was cut is nothing new.
            (Err(error), Err(SourceError::Truncated)) => Err(error),
            (_, outcome) => outcome,
        }
    }

    /// Takes chunks from the network until the answer ends or nobody wants more.
    async fn receive(self, chunks: mpsc::Sender<Bytes>) -> Result<(), SourceError> {
        let mut answer = self.answer;
        let mut chunk = Some(self.first);
        while let Some(bytes) = chunk {
            if chunks.send(bytes).await.is_err() {
                break;
            }
            chunk = answer.chunk().await?;
        }
        Ok(())
    }
}
