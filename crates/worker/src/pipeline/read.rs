//! Slices to blocks, and blocks to the encoding threads, in order.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use domain::TimeRange;
use encode::Encoder;
use source::{Query, ReadLimits, Slice};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::lease::Lease;
use crate::metrics;
use crate::pipeline::attempt::Done;
use crate::pipeline::places::Places;
use crate::pipeline::pool::{Encoding, NoRoom};
use crate::pipeline::{Pipeline, PipelineError};

/// What the reader hands to the writer.
pub(super) enum Encoded {
    /// A block that is being encoded, or will be.
    Block(Encoding),
    /// All blocks of a slice have been handed over, and another slice follows.
    EndOfSlice,
}

/// Reads the rows of an export.
pub(super) struct Reader<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) lease: &'a Lease,
    /// Ends the work between two slices.
    pub(super) stop: &'a CancellationToken,
    pub(super) query: &'a Query,
    pub(super) encoder: &'a Arc<Encoder>,
    pub(super) limits: ReadLimits,
    /// About how many rows a slice has.
    pub(super) slice_rows: u64,
    /// Told what is being read.
    pub(super) query_id: &'a Mutex<Option<String>>,
}

impl Reader<'_> {
    /// Reads the slices that are not done. Returns whether that was all, or whether it was told to
    /// stop before.
    pub(super) async fn read(
        &self,
        slices: &[TimeRange],
        done: Done,
        out: mpsc::Sender<Encoded>,
    ) -> Result<bool, PipelineError> {
        let split = self.lease.claim().job.request.split;
        let mut places = Places::behind(done.rows, split);
        let mut row_bytes = None;
        for (number, slice) in slices.iter().enumerate().skip(done.slices) {
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            let slice = Slice {
                range: *slice,
                rows: self.slice_rows,
                row_bytes,
            };
            let read = self.read_slice(number, slice, &mut places, &out);
            let read = read.instrument(tracing::info_span!("slice.read", slice = number));
            row_bytes = read.await?.or(row_bytes);
            if number + 1 < slices.len() && out.send(Encoded::EndOfSlice).await.is_err() {
                break;
            }
        }
        Ok(true)
    }

    /// Reads a slice. Returns what a row takes in memory, if it is known.
    async fn read_slice(
        &self,
        number: usize,
        slice: Slice,
        places: &mut Places,
        out: &mpsc::Sender<Encoded>,
    ) -> Result<Option<NonZeroU64>, PipelineError> {
        let Pipeline {
            clickhouse, pool, ..
        } = self.pipeline;
        let claim = self.lease.claim();
        let query_id = format!("export-{}-{}-{number}", claim.job.id, claim.token());
        self.reads(Some(query_id.clone()));
        let started = Instant::now();
        let mut blocks = clickhouse.read(self.query, slice, &query_id, self.limits);
        let mut rest = None;
        loop {
            // Room first, so that no more blocks wait in memory than those in flight. Only a writer
            // that has failed closes the channel, and it has told why.
            let Ok(room) = out.reserve().await else {
                return Ok(None);
            };
            let next = match rest.take() {
                None => blocks.next().await?,
                rest => rest,
            };
            let Some(mut block) = next else {
                break;
            };
            let position;
            (position, rest) = places.place(&mut block);
            let encoding = pool
                .submit(Arc::clone(self.encoder), block, position)
                .map_err(|NoRoom| PipelineError::EncoderGone)?;
            room.send(Encoded::Block(encoding));
        }
        metrics::slice_read(&claim.job, started.elapsed());
        self.reads(None);
        Ok(blocks.row_bytes())
    }

    fn reads(&self, query_id: Option<String>) {
        *self.query_id.lock().unwrap_or_else(PoisonError::into_inner) = query_id;
    }
}
