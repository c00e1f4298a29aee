//! From rows to an object: plan, read, encode, upload. The only place that knows all of them.

mod assembly;
mod object;
mod pool;
mod progress;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use domain::{Classify, ErrorClass, ErrorCode, ExportedFile, Format, Violation};
use encode::{BlockPosition, EncodeError, Encoder};
use sink::{Sink, SinkError, UploadId};
use source::{BlockLimits, Catalogue, ClickHouse, Plan, PlanOptions, Query, SourceError};
use store::StoreError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use crate::pipeline::pool::{EncodePool, Encoding, NoRoom};

use crate::config::PipelineConfig;
use crate::lease::Lease;
use crate::pipeline::object::ObjectWriter;
use crate::pipeline::progress::ProgressMeter;

/// What every export of the process shares.
#[derive(Clone)]
pub struct Pipeline {
    /// The datasets.
    pub catalogue: Arc<Catalogue>,
    /// Where rows come from.
    pub clickhouse: ClickHouse,
    /// The threads in between.
    pub pool: EncodePool,
    /// Where files go.
    pub sink: Sink,
    /// How large things are.
    pub config: PipelineConfig,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The request does not fit the catalogue any more.
    #[error("the request does not fit the catalogue: {}", list(.0))]
    Dataset(Vec<Violation>),
    /// Reading failed.
    #[error("reading from ClickHouse")]
    Source(#[from] SourceError),
    /// Encoding failed.
    #[error("encoding")]
    Encode(#[from] EncodeError),
    /// Storing failed.
    #[error("storing in S3")]
    Sink(#[from] SinkError),
    /// Postgres failed, or the lease is lost.
    #[error("noting the state in Postgres")]
    Store(#[from] StoreError),
    /// An encoding thread died, or had no room: a fault in this program.
    #[error("an encoding thread is gone")]
    EncoderGone,
    /// The job was tried as often as it may be, and each time its worker died.
    #[error("every attempt ended with the death of its worker")]
    TooManyAttempts,
    /// The work was told to stop.
    #[error("told to stop")]
    Stopped,
}

impl Classify for PipelineError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Dataset(_) | Self::TooManyAttempts => ErrorClass::Permanent,
            Self::Source(error) => error.class(),
            Self::Encode(error) => error.class(),
            Self::Sink(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::EncoderGone => ErrorClass::TRANSIENT,
            Self::Stopped => ErrorClass::Cancelled,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Dataset(_) => ErrorCode::DatasetChanged,
            Self::Source(error) => error.code(),
            Self::Encode(error) => error.code(),
            Self::Sink(error) => error.code(),
            Self::Store(_) | Self::EncoderGone | Self::TooManyAttempts | Self::Stopped => {
                ErrorCode::Internal
            }
        }
    }
}

/// How long an attempt that was told to stop goes on cleaning up behind a storage that hangs.
const CLEAN_UP: Duration = Duration::from_secs(3);

/// Waits until `token` has been cancelled for as long as `time`.
async fn cancelled_for(token: &CancellationToken, time: Duration) {
    token.cancelled().await;
    tokio::time::sleep(time).await;
}

fn list(violations: &[Violation]) -> String {
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

impl Pipeline {
    /// Makes the file of a job, from its first row to its last, or leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When any stage fails, or `stop` is cancelled.
    pub async fn export(
        &self,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> Result<ExportedFile, PipelineError> {
        let job = &lease.claim().job;
        let query = self
            .catalogue
            .resolve(&job.request, job.organization)
            .map_err(PipelineError::Dataset)?;
        let encoder = Encoder::new(&job.request.output, query.schema(), file_metadata(lease))?;
        let encoder = Arc::new(encoder);
        let mut object = ObjectWriter::new(self.sink.clone(), lease.clone(), encoder.assembler());
        let made = tokio::select! {
            made = self.make(&query, &encoder, lease, &mut object) => made,
            () = stop.cancelled() => Err(PipelineError::Stopped),
        };
        if made.is_err() {
            tokio::select! {
                () = object.abort() => {}
                () = cancelled_for(stop, CLEAN_UP) => {
                    tracing::warn!("what is stored so far is left to the next attempt");
                }
            }
        }
        made
    }

    async fn make(
        &self,
        query: &Query,
        encoder: &Arc<Encoder>,
        lease: &Lease,
        object: &mut ObjectWriter,
    ) -> Result<ExportedFile, PipelineError> {
        let rows = self.transfer(query, encoder, lease, object).await?;
        object.finish(rows).await
    }

    /// Removes what an attempt has left in the bucket, as far as that is possible now.
    pub async fn discard(&self, key: &str, upload_id: Option<&str>) {
        if let Some(upload_id) = upload_id
            && let Err(error) = self
                .sink
                .abort_upload(key, &UploadId::from(upload_id.to_owned()))
                .await
        {
            tracing::warn!(error = &error as &dyn Error, "a left-over upload stays");
        }
        if let Err(error) = self.sink.delete_object(key).await {
            tracing::warn!(error = &error as &dyn Error, "a left-over object stays");
        }
    }

    /// Moves all rows and returns how many there were.
    async fn transfer(
        &self,
        query: &Query,
        encoder: &Arc<Encoder>,
        lease: &Lease,
        object: &mut ObjectWriter,
    ) -> Result<u64, PipelineError> {
        let options = PlanOptions {
            target_slice_rows: self.config.target_slice_rows,
        };
        let plan = self
            .clickhouse
            .plan(query, &options)
            .instrument(tracing::info_span!("export.plan"))
            .await?;
        tracing::info!(
            rows = plan.rows_estimated,
            slices = plan.slices.len(),
            "planned"
        );
        let interval = self.config.progress_interval();
        let mut progress =
            ProgressMeter::start(lease.clone(), plan.rows_estimated, interval).await?;

        // Room for one block less than may be in flight: the writer holds one more.
        let (blocks, in_order) = mpsc::channel(self.config.blocks_in_flight() - 1);
        let read = self.read(query, &plan, encoder, lease, blocks);
        let write = write(in_order, object, &mut progress);
        let ((), rows) = tokio::try_join!(read, write)?;
        Ok(rows)
    }

    /// Reads slice after slice and hands the blocks to the encoding threads, in order.
    async fn read(
        &self,
        query: &Query,
        plan: &Plan,
        encoder: &Arc<Encoder>,
        lease: &Lease,
        out: mpsc::Sender<Encoding>,
    ) -> Result<(), PipelineError> {
        let claim = lease.claim();
        let limits = self.block_limits(claim.job.request.output.format());
        let mut position = BlockPosition::First;
        for (number, slice) in plan.slices.iter().enumerate() {
            let query_id = format!("export-{}-{}-{number}", claim.job.id, claim.token());
            let mut blocks = self
                .clickhouse
                .read(query, *slice, &query_id, limits)
                .await?;
            loop {
                // Room first, so that no decoded block waits in memory besides those in flight.
                // Only a writer that has failed closes the channel, and it has told why.
                let Ok(room) = out.reserve().await else {
                    return Ok(());
                };
                let Some(batch) = blocks.next().await? else {
                    break;
                };
                let encoding = self
                    .pool
                    .submit(Arc::clone(encoder), batch, position)
                    .map_err(|NoRoom| PipelineError::EncoderGone)?;
                position = BlockPosition::Later;
                room.send(encoding);
            }
        }
        Ok(())
    }

    fn block_limits(&self, format: Format) -> BlockLimits {
        let config = &self.config;
        let (rows, bytes) = match format {
            Format::Csv | Format::Json => (config.block_rows, config.block_bytes),
            Format::Parquet => (config.row_group_rows, config.row_group_bytes),
        };
        BlockLimits { rows, bytes }
    }
}

/// Writes blocks in the order in which they were read and returns how many rows they held.
async fn write(
    mut encoded: mpsc::Receiver<Encoding>,
    object: &mut ObjectWriter,
    progress: &mut ProgressMeter,
) -> Result<u64, PipelineError> {
    while let Some(encoding) = encoded.recv().await {
        let block = encoding.await.map_err(|_| PipelineError::EncoderGone)??;
        let rows = block.rows();
        object.append(block).await?;
        progress.advance(rows).await?;
    }
    Ok(progress.rows())
}

/// What a Parquet file says about itself.
fn file_metadata(lease: &Lease) -> Vec<(String, String)> {
    let job = &lease.claim().job;
    let (start, end) = (job.request.range.start(), job.request.range.end());
    let mut metadata = vec![
        ("export.job_id", job.id.to_string()),
        ("export.data_type", job.request.data_type.to_string()),
        (
            "export.start_time",
            start.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        ),
        (
            "export.end_time",
            end.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        ),
        (
            "export.service_version",
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
    ];
    if let Some(filters) = &job.request.filters {
        metadata.push(("export.filters", filters.as_posted().to_string()));
    }
    metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
