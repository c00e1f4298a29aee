//! The configuration of the worker.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use domain::{Format, OrganizationId};
use encode::{GzipLevel, Levels, ZstdLevel};
use notify::{SmtpConfig, WebhookConfig};
use queue::QueueConfig;
use runtime::logging::LogConfig;
use runtime::traces::TracesConfig;
use serde::Deserialize;
use sink::S3Config;
use source::{ClickHouseConfig, DatasetsConfig};
use store::PostgresConfig;
use store::jobs::Claim;
use store::quotas::QuotasConfig;
use url::Url;

use crate::retry::{Backoff, RetryConfig};

/// The sections of the configuration that `export-worker` reads.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Logging.
    pub log: LogConfig,
    /// Traces.
    pub traces: TracesConfig,
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
    /// What organizations may have.
    pub quotas: QuotasConfig,
    /// Webhooks.
    pub notify: WebhookConfig,
    /// Where clients reach the API.
    pub http: HttpConfig,
    /// The process.
    pub worker: WorkerConfig,
    /// The way of the rows.
    pub pipeline: PipelineConfig,
    /// Errors.
    pub retry: RetryConfig,
    /// How long files live.
    pub retention: RetentionConfig,
    /// What is removed from the bucket.
    pub cleanup: CleanupConfig,
    /// Exports that recur.
    pub schedules: SchedulesConfig,
    /// When notifications are sent.
    pub notifications: NotificationConfig,
}

/// What the worker knows of the section `http`.
#[derive(Clone, Debug, Deserialize)]
pub struct HttpConfig {
    /// The address under which clients reach the API.
    pub public_url: Option<Url>,
}

/// The section `worker`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Where `/healthz` and `/metrics` listen.
    pub listen: SocketAddr,
    /// Jobs at once.
    pub jobs: NonZeroU32,
    /// How long a claim holds without a renewal.
    pub lease_s: NonZeroU64,
    /// How many workers in a row a job may stop, without progress in between, before it fails.
    pub max_deaths: NonZeroU32,
    /// How often Postgres is asked for work that no wake-up told of.
    pub poll_interval_ms: NonZeroU64,
    /// How long running jobs may go on after SIGTERM.
    pub shutdown_grace_s: u64,
}

impl WorkerConfig {
    /// How long a claim holds without a renewal.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s.get())
    }

    /// How often Postgres is asked for work.
    pub fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms.get())
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
    /// Bytes of rows in memory, about, that are sorted at a time.
    pub sort_bytes: usize,
    /// Rows of a block of CSV or JSON, at most.
    pub block_rows: usize,
    /// Rows of a Parquet row group, at most.
    pub row_group_rows: usize,
    /// Bytes of a block of CSV or JSON before it is encoded, about.
    pub block_bytes: usize,
    /// Bytes of a Parquet row group before it is encoded, about.
    pub row_group_bytes: usize,
    /// How hard CSV and JSON are compressed into gzip.
    pub gzip_level: GzipLevel,
    /// How hard files are compressed by zstd.
    pub zstd_level: ZstdLevel,
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

    /// How hard files are compressed.
    pub fn levels(&self) -> Levels {
        Levels {
            gzip: self.gzip_level,
            zstd: self.zstd_level,
        }
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
    /// What differs from that; the first rule that fits counts.
    pub rules: Vec<RetentionRule>,
}

/// How long some files can be downloaded.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// Whose files; everybody's if it is not there.
    pub organization: Option<OrganizationId>,
    /// Which files; of every format if it is not there.
    pub format: Option<Format>,
    /// How long.
    pub days: u32,
}

impl RetentionConfig {
    /// How long the file of a job can be downloaded.
    pub fn of(&self, claim: &Claim) -> Duration {
        let format = claim.request.output.format();
        let rule = self.rules.iter().find(|rule| {
            rule.organization
                .is_none_or(|only| only == claim.job.organization)
                && rule.format.is_none_or(|only| only == format)
        });
        let days = rule.map_or(self.days, |rule| rule.days);
        Duration::from_hours(u64::from(days) * 24)
    }
}

/// The section `cleanup`.
#[derive(Clone, Debug, Deserialize)]
pub struct CleanupConfig {
    /// How often Postgres is asked for files whose time is over and for what is to be removed.
    pub poll_interval_ms: NonZeroU64,
    /// How long a removal waits after it has failed.
    #[serde(flatten)]
    pub backoff: Backoff,
    /// How often the bucket is looked through, by one worker.
    pub sweep_interval_s: u64,
    /// What is younger stays, since its worker may not have noted it yet.
    pub sweep_min_age_s: u64,
}

/// The section `schedules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulesConfig {
    /// How often Postgres is asked for schedules that are due.
    pub poll_interval_ms: NonZeroU64,
}

/// The section `notifications`.
#[derive(Clone, Debug, Deserialize)]
pub struct NotificationConfig {
    /// How often Postgres is asked for notifications that are due.
    pub poll_interval_ms: NonZeroU64,
    /// How long one process may take to send one before another tries.
    pub lease_s: NonZeroU64,
    /// When one is tried again, and how often.
    #[serde(flatten)]
    pub retry: RetryConfig,
}
