//! Slices to blocks, and blocks to the encoding threads, in order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use domain::TimeRange;
use encode::Encoder;
use source::{Slice, SliceReader};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::lease::Lease;
use crate::metrics;
use crate::pipeline::PipelineError;
use crate::pipeline::attempt::Done;
use crate::pipeline::places::Places;
use crate::pipeline::pool::{EncodePool, Encoding, NoRoom};

/// What the reader hands to the writer.
pub(super) enum Encoded {
    /// A block that is being encoded, or will be.
    Block(Encoding),
    /// All blocks of a slice have been handed over, and another slice follows.
    EndOfSlice,
}

/// Reads the rows of an export.
pub(super) struct Reader<'a> {
    pub(super) pool: &'a EncodePool,
    pub(super) lease: &'a Lease,
    /// Ends the work between two slices.
    pub(super) stop: &'a CancellationToken,
    pub(super) source: SliceReader,
    pub(super) encoder: &'a Arc<Encoder>,
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
        let split = self.lease.claim().request.split;
        let mut places = Places::behind(done.rows, split);
        for (number, slice) in slices.iter().enumerate().skip(done.slices) {
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            let slice = Slice {
                range: *slice,
                rows: self.slice_rows,
            };
            let read = self.read_slice(number, slice, &mut places, &out);
            let read = read.instrument(tracing::info_span!("slice.read", slice = number));
            read.await?;
            if number + 1 < slices.len() && out.send(Encoded::EndOfSlice).await.is_err() {
                break;
            }
        }
        Ok(true)
    }

    async fn read_slice(
        &self,
        number: usize,
        slice: Slice,
        places: &mut Places,
        out: &mpsc::Sender<Encoded>,
    ) -> Result<(), PipelineError> {
        let claim = self.lease.claim();
        let query_id = format!("export-{}-{}-{number}", claim.job.id, claim.token());
        self.reads(Some(query_id.clone()));
        let started = Instant::now();
        let mut blocks = self.source.read(slice, &query_id);
        let mut rest = None;
        loop {
            // Room first, so that no more blocks wait in memory than those in flight. Only a writer
            // that has failed closes the channel, and it has told why.
            let Ok(room) = out.reserve().await else {
                return Ok(());
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
            let encoding = self
                .pool
                .submit(Arc::clone(self.encoder), block, position)
                .map_err(|NoRoom| PipelineError::EncoderGone)?;
            room.send(Encoded::Block(encoding));
        }
        metrics::slice_read(claim, started.elapsed());
        self.reads(None);
        Ok(())
    }

    fn reads(&self, query_id: Option<String>) {
        *self.query_id.lock().unwrap_or_else(PoisonError::into_inner) = query_id;
    }
}
