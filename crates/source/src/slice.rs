//! One slice: its queries, one behind the other, and the rows that they give in order.

use std::cell::Cell;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use domain::TimeRange;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::answer::Answer;
use crate::blocks::{Block, Cutter};
use crate::decode::Decoder;
use crate::error::SourceError;
use crate::metrics;
use crate::pace::Pace;
use crate::plan::{at, microseconds};
use crate::read::{Shared, Slice};
use crate::sort::{SortKeys, Sorted, Sorter};
use crate::sql::{self, Statement};

/// Chunks that wait for the decoder; each is at most what one read from the socket gives.
const CHUNKS_AHEAD: usize = 8;

/// How many more rows ClickHouse may look at for each row before it is better to have it sort. Where each
/// granule has some rows of the range, looking at a row is reading it, and sorting takes as long as four or five.
const MOST_READ: u64 = 4;

/// Bytes of rows that come in one piece, about. A piece is in memory whole, here and there.
const PIECE_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of a row where none could be measured.
const UNMEASURED_ROW_BYTES: u64 = 16 * 1024;

/// How long ClickHouse may measure rows.
const MEASURE_LIMIT: Duration = Duration::from_secs(2);

/// A slice that is being read.
pub(crate) struct Reading {
    shared: Arc<Shared>,
    slice: Slice,
    query_id: String,
    /// How many queries there were.
    queries: AtomicUsize,
    /// How many rows were handed on.
    rows: AtomicU64,
    blocks: mpsc::Sender<Block>,
}

/// What a range of time gave.
enum Piece {
    Sorted(Sorted),
    /// It has more than can be sorted here.
    TooLarge,
}

impl Reading {
    pub(crate) fn new(
        shared: Arc<Shared>,
        slice: Slice,
        query_id: &str,
        blocks: mpsc::Sender<Block>,
    ) -> Self {
        Self {
            shared,
            slice,
            query_id: query_id.to_owned(),
            queries: AtomicUsize::new(0),
            rows: AtomicU64::new(0),
            blocks,
        }
    }

    pub(crate) async fn run(self) -> Result<(), SourceError> {
        let range = self.slice.range;
        let counted = self.shared.count_before(range).await?;
        let cutter = Cutter::new(self.shared.limits.block);
        let mut cutter = match self.shared.query.sort_keys() {
            Some(keys) => self.sort(&keys, cutter).await?,
            None => self.pass_on(range, cutter).await?,
        };
        if let Some(block) = cutter.take() {
            self.send(block).await;
        }
        let rows = self.rows.load(Ordering::Relaxed);
        self.shared.check_rows(range, counted, rows).await
    }

    /// Reads range after range and hands on the rows of one while the next is read.
    async fn sort(&self, keys: &SortKeys, mut cutter: Cutter) -> Result<Cutter, SourceError> {
        let Slice { range, rows } = self.slice;
        let known = self.shared.row_bytes();
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
        self.shared.measured(sorted_rows, sorted_bytes);
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
        let clickhouse = &self.shared.clickhouse;
        let patience = clickhouse.first_timeout();
        let looking = clickhouse.rows_to_look_at(&self.shared.query, range, patience);
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
        let Some(answer) = self.ask(statement, range, &[]).await? else {
            return sorter.finish().map(Some);
        };
        let schema = self.shared.query.schema_with(&keys.hidden);
        let shared = Arc::clone(&self.shared);
        let collect = move |decoder: Decoder, mut chunks: Chunks| {
            let fits = Cell::new(true);
            let chunks = iter::from_fn(|| fits.get().then(|| chunks.blocking_recv()).flatten());
            let decoded = decoder.decode(chunks, |batch| {
                fits.set(fits.get() && sorter.push(batch));
            });
            if !fits.get() {
                let (rows, bytes) = sorter.size();
                shared.measured(rows, bytes);
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
        let piece_rows = self.piece_rows(range).await?;
        let settings = [("max_block_size", piece_rows.to_string())];
        let Some(answer) = self.ask(statement, range, &settings).await? else {
            return Ok(cutter);
        };
        let blocks = self.blocks.clone();
        let cut = move |decoder: Decoder, mut chunks: Chunks| {
            let (mut rows, mut bytes, mut handed_on) = (0, 0, 0_u64);
            // That nobody wants the blocks any more is no error of anybody's.
            let mut send = |block: Block| {
                handed_on += block.rows() as u64;
                blocks.blocking_send(block).unwrap_or(());
            };
            let chunks = iter::from_fn(|| chunks.blocking_recv());
            decoder.decode(chunks, |batch: RecordBatch| {
                rows += batch.num_rows();
                bytes += batch.get_array_memory_size();
                cutter.push(&batch).into_iter().for_each(&mut send);
            })?;
            Ok((cutter, rows, bytes, handed_on))
        };
        let schema = self.shared.query.schema();
        let (cutter, rows, bytes, handed_on) = answer.decode(schema, cut).await?;
        self.rows.fetch_add(handed_on, Ordering::Relaxed);
        self.shared.measured(rows, bytes);
        Ok(cutter)
    }

    /// Returns how many rows ClickHouse is to send in one piece.
    async fn piece_rows(&self, range: TimeRange) -> Result<u64, SourceError> {
        let Shared {
            clickhouse, query, ..
        } = &*self.shared;
        let row_bytes = if let Some(known) = self.shared.row_bytes() {
            known.get()
        } else {
            let sample = clickhouse.sample_of(query, range, MEASURE_LIMIT).await?;
            let row_bytes = sample.bytes.checked_div(sample.rows);
            row_bytes.unwrap_or(UNMEASURED_ROW_BYTES).max(1)
        };
        let most = u64::from(clickhouse.config.max_block_rows);
        Ok((PIECE_BYTES / row_bytes).clamp(1, most.max(1)))
    }

    async fn send(&self, block: Block) {
        self.rows.fetch_add(block.rows() as u64, Ordering::Relaxed);
        // That nobody wants it any more is no error of anybody's.
        self.blocks.send(block).await.unwrap_or(());
    }

    /// Asks for rows. Returns nothing if there are none.
    async fn ask(
        &self,
        statement: Statement,
        range: TimeRange,
        settings: &[(&'static str, String)],
    ) -> Result<Option<BegunAnswer>, SourceError> {
        let number = self.queries.fetch_add(1, Ordering::Relaxed);
        let query_id = format!("{}-{number}", self.query_id);
        let clickhouse = &self.shared.clickhouse;
        let mut answer = clickhouse.ask(statement, &query_id, settings).await?;
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
