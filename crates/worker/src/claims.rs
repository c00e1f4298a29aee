//! Finding work: a claim for each free slot, when a wake-up comes or the poll interval is over.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{JobId, WorkerId};
use store::jobs::{self, Claimed, Terms};
use store::quotas::RunningLimits;
use store::{PgPool, StoreError, acquire};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
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
    /// After how many deaths of workers a job must be alone in its process.
    pub alone_after: u32,
    /// How many jobs organizations may have at work, in all processes.
    pub limits: RunningLimits,
    /// Slots: jobs at once.
    pub slots: Slots,
    /// How often Postgres is asked for work that no wake-up told of.
    pub poll_interval: Duration,
    /// Told at each round.
    pub pulse: Pulse,
    /// Does the jobs.
    pub runner: Runner,
}

/// How long the first claim waits for what ClickHouse says of its settings: it may hang, and jobs say so.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// How long ClickHouse may take to say which settings count.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(30);

impl ClaimLoop {
    /// Claims and starts jobs until `stop`, then waits for those that run.
    ///
    /// A wake-up only shortens the wait. Which job is next is for Postgres to say, so a message
    /// that is lost, late or doubled changes nothing else.
    pub async fn run(self, mut wake_ups: mpsc::Receiver<JobId>, stop: CancellationToken) {
        let running = TaskTracker::new();
        // Told when a job has ended, and its organization may have room for another one.
        let ended = Arc::new(Notify::new());
        // Whether the job that is next must be alone in this process.
        let mut alone = false;
        // The first look: whatever is wrong, jobs say so.
        let clickhouse = &self.runner.pipeline.clickhouse;
        let _ = tokio::time::timeout(FIRST_LOOK, clickhouse.ping()).await;
        while !stop.is_cancelled() {
            self.pulse.beat();
            let slot = tokio::select! {
                slot = self.slots.take(alone) => slot,
                () = tokio::time::sleep(self.poll_interval) => {
                    // An idle worker may have taken that job meanwhile.
                    alone = false;
                    continue;
                }
                () = stop.cancelled() => break,
            };
            if !self.may_read().await {
                drop(slot);
                tokio::select! {
                    () = tokio::time::sleep(self.poll_interval) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let asked = Instant::now();
            match self.claim(self.slots.others_than(&slot)).await {
                Ok(Claimed::Job(claim)) => {
                    let slot = self.slots.fit(slot, claim.deaths >= self.alone_after);
                    alone = false;
                    let lease = Lease::new(self.pool.clone(), *claim, self.lease, asked);
                    let run = Box::pin(self.runner.clone().run(lease));
                    let ended = Arc::clone(&ended);
                    running.spawn(async move {
                        run.await;
                        drop(slot);
                        ended.notify_one();
                    });
                    continue;
                }
                Ok(Claimed::Suspect) => {
                    alone = true;
                    continue;
                }
                Ok(Claimed::Invalid(job)) => {
                    tracing::warn!(job.id = %job, "the request of a job is not valid; it has failed");
                    continue;
                }
                Ok(Claimed::Nothing) => alone = false,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "no job could be claimed");
                }
            }
            drop(slot);
            tokio::select! {
                Some(_) = wake_ups.recv() => {}
                () = ended.notified() => {}
                () = tokio::time::sleep(self.poll_interval) => {}
                () = stop.cancelled() => {}
            }
        }
        running.close();
        running.wait().await;
    }

    /// Tells whether jobs may be taken: not while ClickHouse's profile lets answers be short, since jobs
    /// would fail that can wait.
    async fn may_read(&self) -> bool {
        let clickhouse = &self.runner.pipeline.clickhouse;
        if clickhouse.missing_settings().is_empty() {
            return true;
        }
        let asked = tokio::time::timeout(SETTINGS_TIMEOUT, clickhouse.ping()).await;
        matches!(asked, Ok(Ok(())))
    }

    async fn claim(&self, busy: bool) -> Result<Claimed, StoreError> {
        let terms = Terms {
            lease: self.lease,
            busy,
            alone_after: self.alone_after,
            running: &self.limits,
        };
        let mut conn = acquire(&self.pool).await?;
        jobs::claim(&mut conn, &self.owner, &terms).await
    }
}

/// Room for some jobs at once, or for one that must be alone.
pub struct Slots {
    free: Arc<Semaphore>,
    all: u32,
}

impl Slots {
    /// Makes room for `all` jobs.
    pub fn new(all: u32) -> Self {
        let permits = usize::try_from(all).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            all,
        }
    }

    /// Waits for one slot, or for all of them.
    async fn take(&self, alone: bool) -> OwnedSemaphorePermit {
        let wanted = if alone { self.all } else { 1 };
        let taken = Arc::clone(&self.free).acquire_many_owned(wanted).await;
        taken.expect("the semaphore is never closed")
    }

    /// Tells whether there are jobs in other slots.
    fn others_than(&self, slot: &OwnedSemaphorePermit) -> bool {
        let idle = self.free.available_permits() + slot.num_permits();
        u32::try_from(idle).is_ok_and(|idle| idle < self.all)
    }

    /// Makes one slot of what was taken, or all of them.
    fn fit(&self, mut slot: OwnedSemaphorePermit, alone: bool) -> OwnedSemaphorePermit {
        if !alone {
            return slot.split(1).unwrap_or(slot);
        }
        let missing = self
            .all
            .saturating_sub(u32::try_from(slot.num_permits()).unwrap_or(1));
        if let Ok(rest) = Arc::clone(&self.free).try_acquire_many_owned(missing) {
            slot.merge(rest);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[tokio::test]
    async fn a_job_that_must_be_alone_takes_every_slot() {
        let slots = Slots::new(3);
        let first = slots.take(false).await;
        assert!(!slots.others_than(&first));
        let alone = slots.fit(first, true);
        assert_eq!(slots.free.available_permits(), 0);
        drop(alone);
        assert_eq!(slots.free.available_permits(), 3);
    }

    #[tokio::test]
    async fn any_other_job_takes_one() {
        let slots = Slots::new(3);
        let all = slots.take(true).await;
        let one = slots.fit(all, false);
        assert_eq!(slots.free.available_permits(), 2);
        let other = slots.take(false).await;
        assert!(slots.others_than(&other));
        drop((one, other));
        assert_eq!(slots.free.available_permits(), 3);
    }
}
