//! One attempt to do a job: the lease around it, and what becomes of it in the end.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Classify, ErrorClass, ExportedFile, ExportedFiles};
use queue::Wakeups;
use runtime::chain;
use runtime::shutdown::Shutdown;
use runtime::traces;
use store::StoreError;
use store::removals::Stored;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::config::RetentionConfig;
use crate::lease::{Ending, Lease};
use crate::metrics;
use crate::object_key;
use crate::pipeline::{Pipeline, PipelineError, Stops};
use crate::retry::{RetryConfig, Verdict};

/// Does jobs that were claimed.
#[derive(Clone)]
pub struct Runner {
    /// How files are made.
    pub pipeline: Pipeline,
    /// What errors mean.
    pub retry: RetryConfig,
    /// How many workers a job may stop before it fails.
    pub max_deaths: u32,
    /// How long files live.
    pub retention: Arc<RetentionConfig>,
    /// Told when there may be somebody to notify.
    pub news: watch::Sender<()>,
    /// Told when there may be something to remove.
    pub leavings: Arc<Notify>,
    /// Wakes another worker for a job that is given back.
    pub wake_ups: Wakeups,
    /// Ends the attempts that run, at their next checkpoint or at once.
    pub shutdown: Shutdown,
}

impl Runner {
    /// Tries to do the job of a claim and notes how it went, in the trace of the request for it.
    pub async fn run(self, lease: Lease) {
        let claim = lease.claim();
        let span = tracing::info_span!(
            "export.run",
            job.id = %claim.job.id,
            attempt = claim.attempts,
            otel.kind = "consumer",
            otel.status_code = Empty,
        );
        traces::follow(&span, claim.job.trace.as_ref());
        self.attempt(lease).instrument(span).await;
    }

    async fn attempt(self, lease: Lease) {
        let _running = metrics::running();
        let stops = Stops {
            soon: self.shutdown.soft.clone(),
            now: self.shutdown.hard.child_token(),
        };
        let keeper = AbortOnDropHandle::new(tokio::spawn(lease.clone().keep(stops.now.clone())));
        let noted = match self.export(&lease, &stops).await {
            Ok(files) => self.complete(&lease, files).await,
            Err(error) => self.give_back(&lease, &error).await,
        };
        drop(keeper);
        match noted {
            Ok(()) => self.news.send_replace(()),
            Err(StoreError::LeaseLost) => tracing::warn!("the job is somebody else's now"),
            // The lease ends by itself, and whoever claims the job next starts from its row.
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn Error,
                    "the outcome could not be noted"
                );
            }
        }
        self.leavings.notify_one();
    }

    async fn export(
        &self,
        lease: &Lease,
        stops: &Stops,
    ) -> Result<Vec<ExportedFile>, PipelineError> {
        if lease.claim().deaths >= self.max_deaths {
            return Err(PipelineError::KillsWorkers);
        }
        let started = Instant::now();
        let files = Box::pin(self.pipeline.export(lease, stops)).await?;
        let elapsed = started.elapsed();
        metrics::exported(lease.claim(), elapsed);
        tracing::info!(
            files = files.len(),
            rows = files.iter().map(|file| file.rows).sum::<u64>(),
            size_bytes = files.iter().map(|file| file.size_bytes).sum::<u64>(),
            elapsed_ms = elapsed.as_millis(),
            "exported"
        );
        Ok(files)
    }

    #[tracing::instrument(name = "export.complete", skip_all)]
    async fn complete(&self, lease: &Lease, made: Vec<ExportedFile>) -> Result<(), StoreError> {
        let job = &lease.claim().job;
        let objects = made.iter().map(|file| Stored {
            job: job.id,
            object_key: file.object_key.clone(),
            upload_id: None,
        });
        let objects: Vec<_> = objects.collect();
        let files = ExportedFiles::from(made);
        let location = match files.only() {
            Some(file) => self.pipeline.sink.location(&file.object_key),
            None => self.pipeline.sink.location(&object_key::all_of(job)),
        };
        let ended = end(
            lease,
            &Ending::Completed {
                files: &files,
                location,
                retention: self.retention.of(lease.claim()),
            },
        )
        .await;
        if let Err(StoreError::LeaseLost) = ended {
            // The job may be cancelled, or its successor may be about to find these very objects.
            lease.disown(&objects).await?;
        }
        ended
    }

    async fn give_back(&self, lease: &Lease, error: &PipelineError) -> Result<(), StoreError> {
        if let PipelineError::Store(StoreError::LeaseLost) = error {
            return Err(StoreError::LeaseLost);
        }
        let claim = lease.claim();
        let cause = chain(error);
        let verdict = self.retry.judge(
            error.class(),
            error.failure(),
            claim.job.id,
            lease.attempts(),
        );
        tracing::warn!(cause, ?verdict, "attempt ended without a file");
        if verdict != Verdict::Release {
            Span::current().record("otel.status_code", "ERROR");
        }
        let ending = match verdict {
            Verdict::Retry(delay) => Ending::Retry { delay, cause },
            Verdict::Fail(failure) => Ending::Failed { failure, cause },
            Verdict::Release => Ending::Released,
        };
        end(lease, &ending).await?;
        if ending == Ending::Released
            && let Err(error) = self.wake_ups.push(claim.job.id).await
        {
            tracing::debug!(error = &error as &dyn Error, "the job waits for a poll");
        }
        Ok(())
    }
}

/// How long to wait before the end of an attempt is written again to a database that fails.
const WAITS: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];

/// Writes the end of an attempt, through short failures of Postgres.
async fn end(lease: &Lease, ending: &Ending<'_>) -> Result<(), StoreError> {
    for wait in WAITS {
        match lease.end(ending).await {
            Err(error) if matches!(error.class(), ErrorClass::Transient { .. }) => {
                tracing::warn!(error = &error as &dyn Error, "the outcome is not noted yet");
                tokio::time::sleep(wait).await;
            }
            result => return result,
        }
    }
    lease.end(ending).await
}
