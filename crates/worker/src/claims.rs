//! Finding work: a claim for each free slot, when a wake-up comes or the poll interval is over.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use domain::{JobId, WorkerId};
use store::jobs::{self, Claim};
use store::{PgPool, StoreError, acquire};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::health::Pulse;
use crate::lease::Lease;
use crate::run::Runner;

/// Takes jobs as long as the worker takes work.
pub struct ClaimLoop {
    /// Where jobs are.
    pub pool: PgPool,
    /// Who claims.
    pub owner: WorkerId,
    /// How long a claim holds without a renewal.
    pub lease: Duration,
    /// Jobs at once.
    pub slots: NonZeroUsize,
    /// How often Postgres is asked for work that no wake-up told of.
    pub poll_interval: Duration,
    /// Told at each round.
    pub pulse: Pulse,
    /// Does the jobs.
    pub runner: Runner,
}

impl ClaimLoop {
    /// Claims and starts jobs until `stop`, then waits for those that run.
    ///
    /// A wake-up only shortens the wait. Which job is next is for Postgres to say, so a message
    /// that is lost, late or doubled changes nothing else.
    pub async fn run(self, mut wake_ups: mpsc::Receiver<JobId>, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.slots.get()));
        let running = TaskTracker::new();
        while !stop.is_cancelled() {
            self.pulse.beat();
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot,
                () = tokio::time::sleep(self.poll_interval) => continue,
                () = stop.cancelled() => break,
            };
            match self.claim().await {
                Ok(Some(claim)) => {
                    let lease = Lease::new(self.pool.clone(), claim, self.lease);
                    let run = Box::pin(self.runner.clone().run(lease));
                    running.spawn(async move {
                        run.await;
                        drop(slot);
                    });
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "no job could be claimed");
                }
            }
            drop(slot);
            tokio::select! {
                Some(_) = wake_ups.recv() => {}
                () = tokio::time::sleep(self.poll_interval) => {}
                () = stop.cancelled() => {}
            }
        }
        running.close();
        running.wait().await;
    }

    async fn claim(&self) -> Result<Option<Claim>, StoreError> {
        let mut conn = acquire(&self.pool).await?;
        jobs::claim(&mut conn, &self.owner, self.lease).await
    }
}
