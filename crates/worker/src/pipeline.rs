//! From rows to an object: plan, read, encode, upload. The only place that knows all of them.

mod assembly;
mod attempt;
mod files;
mod object;
mod places;
mod pool;
mod progress;
mod publish;
mod read;
mod resume;

use std::time::Duration;

use domain::{
    Classify, ErrorClass, ErrorCode, ExportRequest, ExportedFile, Failure, Format, Split, Violation,
};
use encode::EncodeError;
use sink::{Sink, SinkError};
use source::{BlockLimits, ClickHouse, LiveCatalogue, ReadLimits, SourceError};
use store::StoreError;
use tokio_util::sync::CancellationToken;

pub use crate::pipeline::pool::{EncodePool, Encoding, NoRoom};

use crate::config::PipelineConfig;
use crate::lease::Lease;
use crate::pipeline::attempt::Attempt;

/// What every export of the process shares.
#[derive(Clone)]
pub struct Pipeline {
    /// The datasets.
    pub catalogue: LiveCatalogue,
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
    /// The tables were changed while the job ran.
    #[error("the tables of ClickHouse changed while the job ran")]
    TablesChanged(#[source] SourceError),
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
    /// The rows would need more files than an export may have.
    #[error("there would be more than {} files", Split::MAX_FILES)]
    TooManyFiles,
    /// The workers that had the job died, one after the other.
    #[error("every worker that had the job let its lease expire")]
    KillsWorkers,
    /// The job began anew too often: what it stores does not stay, or no two workers agree on it.
    #[error("the export began anew too often")]
    NeverEnds,
    /// The work was told to stop.
    #[error("told to stop")]
    Stopped,
}

impl Classify for PipelineError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Dataset(_) | Self::TooManyFiles | Self::KillsWorkers | Self::NeverEnds => {
                ErrorClass::Permanent
            }
            // No attempt is spent on a profile that can be mended.
            Self::Source(SourceError::Unsafe(_)) | Self::Stopped => ErrorClass::Cancelled,
            Self::Source(error) => error.class(),
            Self::Encode(error) => error.class(),
            Self::Sink(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::TablesChanged(_) | Self::EncoderGone => ErrorClass::TRANSIENT,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Dataset(_) | Self::TablesChanged(_) => ErrorCode::DatasetChanged,
            Self::Source(error) => error.code(),
            Self::Encode(error) => error.code(),
            Self::Sink(error) => error.code(),
            Self::TooManyFiles => ErrorCode::TooManyFiles,
            Self::KillsWorkers => ErrorCode::WorkerLost,
            Self::Store(_) | Self::EncoderGone | Self::NeverEnds | Self::Stopped => {
                ErrorCode::Internal
            }
        }
    }
}

impl PipelineError {
    /// Returns what the owner of the job is told if it fails.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Dataset(violations) => Failure::naming(self.code(), violations),
            error => error.code().into(),
        }
    }
}

/// How long an attempt that has failed goes on cleaning up behind services that hang.
const CLEAN_UP: Duration = Duration::from_secs(3);

/// How many blocks at least are to fit into a file of so many bytes, as if they were written as large as they
/// are in memory.
const BLOCKS_PER_FILE: u64 = 8;

/// How an attempt is told to stop.
#[derive(Clone, Debug)]
pub struct Stops {
    /// At the end of the slice, with a checkpoint.
    pub soon: CancellationToken,
    /// At once.
    pub now: CancellationToken,
}

fn list(violations: &[Violation]) -> String {
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

impl Pipeline {
    /// Makes the files of a job, from its last checkpoint on if there is one.
    ///
    /// After an error, what is stored stays for the next attempt if the row of the job still names
    /// it, and is removed otherwise.
    ///
    /// # Errors
    ///
    /// When any stage fails, or `stops` tell it to stop.
    pub async fn export(
        &self,
        lease: &Lease,
        stops: &Stops,
    ) -> Result<Vec<ExportedFile>, PipelineError> {
        let mut attempt = Attempt::new(self, lease, stops);
        let made = tokio::select! {
            made = lease.while_held(attempt.run()) => {
                made.unwrap_or(Err(PipelineError::Store(StoreError::LeaseLost)))
            }
            () = stops.now.cancelled() => Err(PipelineError::Stopped),
        };
        let made = match made {
            Err(PipelineError::Source(SourceError::Engine(exception)))
                if exception.is_unknown_name() =>
            {
                let error = SourceError::Engine(exception);
                Err(attempt.explain(error).await)
            }
            made => made,
        };
        if made.is_err()
            && tokio::time::timeout(CLEAN_UP, Box::pin(attempt.leave()))
                .await
                .is_err()
        {
            tracing::warn!("what is left is left to the others");
        }
        made
    }

    fn read_limits(&self, request: &ExportRequest) -> ReadLimits {
        let config = &self.config;
        let (rows, mut bytes) = match request.output.format() {
            Format::Csv | Format::Json => (config.block_rows, config.block_bytes),
            Format::Parquet => (config.row_group_rows, config.row_group_bytes),
        };
        if let Some(Split::Bytes(most)) = request.split {
            bytes = bytes.min(usize::try_from(most / BLOCKS_PER_FILE).unwrap_or(usize::MAX));
        }
        ReadLimits {
            block: BlockLimits { rows, bytes },
            // The rows that begin a block are copied at the end of each range.
            sort_bytes: config.sort_bytes.max(2 * bytes),
        }
    }
}
