//! One attempt to do a job: the lease around it, and what becomes of it in the end.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Classify, ErrorClass, ExportedFile};
use runtime::chain;
use store::StoreError;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::RetentionConfig;
use crate::lease::{Ending, Lease};
use crate::pipeline::{Pipeline, PipelineError};
use crate::retry::{RetryConfig, Verdict};

/// Does jobs that were claimed.
#[derive(Clone)]
pub struct Runner {
    /// How files are made.
    pub pipeline: Pipeline,
    /// What errors mean.
    pub retry: RetryConfig,
    /// How long files live.
    pub retention: RetentionConfig,
    /// Told when there is an e-mail to send.
    pub mail: Arc<Notify>,
    /// Ends the attempts that still run.
    pub stop: CancellationToken,
}

impl Runner {
    /// Tries to do the job of a claim and notes how it went.
    #[tracing::instrument(
        name = "export.run",
        skip_all,
        fields(job.id = %lease.claim().job.id, attempt = lease.claim().attempts)
    )]
    pub async fn run(self, lease: Lease) {
        let keep_going = self.stop.child_token();
        let keeper = AbortOnDropHandle::new(tokio::spawn(lease.clone().keep(keep_going.clone())));
        let noted = match self.export(&lease, &keep_going).await {
            Ok(file) => self.complete(&lease, &file).await,
            Err(error) => self.give_back(&lease, &error).await,
        };
        drop(keeper);
        match noted {
            Ok(()) => self.mail.notify_one(),
            Err(StoreError::LeaseLost) => tracing::warn!("the job is somebody else's now"),
            // The lease ends by itself, and whoever claims the job next starts from its row.
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn Error,
                    "the outcome could not be noted"
                );
            }
        }
    }

    async fn export(
        &self,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> Result<ExportedFile, PipelineError> {
        let claim = lease.claim();
        if let Some(leftover) = &claim.leftover {
            let upload_id = leftover.upload_id.as_deref();
            tokio::select! {
                () = self.pipeline.discard(&leftover.object_key, upload_id) => {}
                () = stop.cancelled() => return Err(PipelineError::Stopped),
            }
        }
        if claim.attempts > self.retry.max_attempts {
            // Earlier attempts took their workers down with them.
            return Err(PipelineError::TooManyAttempts);
        }
        let started = Instant::now();
        let file = Box::pin(self.pipeline.export(lease, stop)).await?;
        let elapsed_ms = started.elapsed().as_millis();
        tracing::info!(
            rows = file.rows,
            size_bytes = file.size_bytes,
            elapsed_ms,
            "exported"
        );
        Ok(file)
    }

    async fn complete(&self, lease: &Lease, file: &ExportedFile) -> Result<(), StoreError> {
        let ended = end(
            lease,
            &Ending::Completed {
                file,
                location: self.pipeline.sink.location(&file.object_key),
                retention: self.retention.duration(),
            },
        )
        .await;
        if let Err(StoreError::LeaseLost) = ended {
            // Nobody else knows of this object: its key holds the token of the lost lease.
            self.pipeline.discard(&file.object_key, None).await;
        }
        ended
    }

    async fn give_back(&self, lease: &Lease, error: &PipelineError) -> Result<(), StoreError> {
        if let PipelineError::Store(StoreError::LeaseLost) = error {
            return Err(StoreError::LeaseLost);
        }
        let claim = lease.claim();
        let cause = chain(error);
        let verdict = self
            .retry
            .judge(error.class(), error.code(), claim.job.id, claim.attempts);
        tracing::warn!(cause, ?verdict, "attempt ended without a file");
        let ending = match verdict {
            Verdict::Retry(delay) => Ending::Retry { delay, cause },
            Verdict::Fail(failure) => Ending::Failed { failure, cause },
            Verdict::Release => Ending::Released,
        };
        end(lease, &ending).await
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
