//! The configuration of the worker.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use notify::SmtpConfig;
use queue::QueueConfig;
use runtime::logging::LogConfig;
use serde::Deserialize;
use sink::S3Config;
use source::{ClickHouseConfig, DatasetsConfig};
use store::PostgresConfig;

use crate::retry::RetryConfig;

/// The sections of the configuration that `export-worker` reads. The API's are not looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Logging.
    pub log: LogConfig,
    /// Postgres.
    pub postgres: PostgresConfig,
    /// Redis.
    pub redis: QueueConfig,
    /// ClickHouse.
    pub clickhouse: ClickHouseConfig,
    /// The catalogue.
    pub datasets: DatasetsConfig,
    /// The bucket.
    pub s3: S3Config,
    /// The mail server.
    pub smtp: SmtpConfig,
    /// The process.
    pub worker: WorkerConfig,
    /// The way of the rows.
    pub pipeline: PipelineConfig,
    /// Errors.
    pub retry: RetryConfig,
    /// How long files live.
    pub retention: RetentionConfig,
    /// E-mails.
    pub notifications: NotificationConfig,
}

/// The section `worker`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Where `/healthz` listens.
    pub listen: SocketAddr,
    /// Jobs at once.
    pub jobs: NonZeroUsize,
    /// How long a claim holds without a renewal.
    pub lease_s: u64,
    /// How often Postgres is asked for work that no wake-up told of.
    pub poll_interval_ms: u64,
    /// How long running jobs may go on after SIGTERM.
    pub shutdown_grace_s: u64,
}

impl WorkerConfig {
    /// How long a claim holds without a renewal.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }

    /// How often Postgres is asked for work.
    pub fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }

    /// How long running jobs may go on after SIGTERM.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_s)
    }
}

/// The section `pipeline`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// Threads that encode; 0 stands for one a core.
    pub encode_threads: usize,
    /// Rows of a slice, about.
    pub target_slice_rows: u64,
    /// Rows of a block of CSV or JSON, at most.
    pub block_rows: usize,
    /// Rows of a Parquet row group, at most.
    pub row_group_rows: usize,
    /// Bytes of a block of CSV or JSON before it is encoded, about.
    pub block_bytes: usize,
    /// Bytes of a Parquet row group before it is encoded, about.
    pub row_group_bytes: usize,
    /// The shortest time between two writes of a job's progress.
    pub progress_interval_ms: u64,
}

impl PipelineConfig {
    /// Threads that encode.
    pub fn encode_threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.encode_threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN)
    }

    /// Blocks of one job that are encoded or wait for it: one for each thread, and one more so
    /// that no thread waits for the reader.
    pub fn blocks_in_flight(&self) -> usize {
        self.encode_threads().get() + 1
    }

    /// The shortest time between two writes of a job's progress.
    pub fn progress_interval(&self) -> Duration {
        Duration::from_millis(self.progress_interval_ms)
    }
}

/// The section `retention`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// How long a file can be downloaded.
    pub days: u32,
}

impl RetentionConfig {
    /// How long a file can be downloaded.
    pub fn duration(&self) -> Duration {
        Duration::from_hours(u64::from(self.days) * 24)
    }
}

/// The section `notifications`.
#[derive(Clone, Debug, Deserialize)]
pub struct NotificationConfig {
    /// How often Postgres is asked for e-mails that are due.
    pub poll_interval_ms: u64,
    /// When a mail is tried again, and how often.
    #[serde(flatten)]
    pub retry: RetryConfig,
}
