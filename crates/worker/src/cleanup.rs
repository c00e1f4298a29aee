//! Removes from the bucket what Postgres says is to be removed, and expires files. Any number of
//! workers may do so at once.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use runtime::chain;
use sink::{Sink, SinkError, UploadId};
use store::removals::{self, Removal};
use store::{PgPool, StoreError, acquire, jobs};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::CleanupConfig;
use crate::sweep::{self, SweepError};

/// How many removals, or expired files, are taken at a time.
const BATCH: u32 = 100;

/// How long a process may take for a batch before another one tries.
const LEASE: Duration = Duration::from_mins(5);

/// Keeps the bucket clean.
pub struct Cleaner {
    /// Where removals are.
    pub pool: PgPool,
    /// The bucket.
    pub sink: Sink,
    /// When to look.
    pub config: CleanupConfig,
    /// Told when a job has ended in this process.
    pub wake: Arc<Notify>,
}

impl Cleaner {
    /// Cleans until `stop`. A round that has begun is ended: nobody else gets what it has taken for a while.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let more = self.round().await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn Error, "cleaning has to wait");
                false
            });
            if more {
                continue;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(self.config.poll_interval_ms.get())) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Looks through the bucket when it is this worker's turn, until `stop`.
    pub async fn sweep(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                swept = self.sweep_once() => match swept {
                    Ok(0) => {}
                    Ok(found) => {
                        tracing::warn!(found, "the bucket held what no job needs");
                        self.wake.notify_one();
                    }
                    Err(error) => tracing::warn!(
                        error = &error as &dyn Error,
                        "the bucket could not be looked through"
                    ),
                },
                () = stop.cancelled() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(self.config.poll_interval_ms.get())) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn sweep_once(&self) -> Result<u64, SweepError> {
        let interval = Duration::from_secs(self.config.sweep_interval_s);
        let mut conn = acquire(&self.pool).await?;
        let ours = removals::claim_sweep(&mut conn, interval).await?;
        drop(conn);
        if !ours {
            return Ok(0);
        }
        let min_age = Duration::from_secs(self.config.sweep_min_age_s);
        sweep::run(&self.pool, &self.sink, min_age).await
    }

    /// Does what is due, and tells whether there may be more.
    async fn round(&self) -> Result<bool, StoreError> {
        let mut conn = acquire(&self.pool).await?;
        let expired = jobs::expire(&mut conn, BATCH).await?;
        if expired > 0 {
            tracing::info!(jobs = expired, "expired");
        }
        let due = removals::claim_due(&mut conn, BATCH, LEASE).await?;
        drop(conn);
        let full = [expired, due.len() as u64].contains(&u64::from(BATCH));
        for removal in due {
            self.remove(&removal).await?;
        }
        Ok(full)
    }

    async fn remove(&self, removal: &Removal) -> Result<(), StoreError> {
        let removed = self.ask(removal).await;
        let mut conn = acquire(&self.pool).await?;
        let stored = &removal.stored;
        let Err(error) = removed else {
            tracing::debug!(job.id = %stored.job, object.key = stored.object_key, "removed");
            return removals::done(&mut conn, removal).await;
        };
        let delay = self.config.backoff.delay(stored.job, removal.attempts);
        tracing::warn!(
            job.id = %stored.job,
            object.key = stored.object_key,
            attempt = removal.attempts,
            retry_after_ms = delay.as_millis(),
            error = &error as &dyn Error,
            "not removed"
        );
        removals::retry(&mut conn, removal, delay, &chain(&error)).await
    }

    async fn ask(&self, removal: &Removal) -> Result<(), SinkError> {
        let key = &removal.stored.object_key;
        match &removal.stored.upload_id {
            Some(id) => {
                self.sink
                    .abort_upload(key, &UploadId::from(id.clone()))
                    .await
            }
            None => self.sink.delete_object(key).await,
        }
    }
}
