//! Watches jobs for whoever waits for a change: one query for all of them, ten times a second.

mod registry;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use representation::Links;
use runtime::metrics::Counted;
use store::{PgPool, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::metrics;
use crate::snapshot::Snapshot;
use crate::watch::registry::{Registry, Round, Seen};

/// The time between two queries while anybody watches.
const INTERVAL: Duration = Duration::from_millis(100);

/// There are as many watchers as this process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many clients wait for changes")]
pub struct TooManyWatchers;

/// Whoever waits for changes of jobs on this process.
#[derive(Clone)]
pub(crate) struct Watchers {
    room: Arc<Semaphore>,
    registry: Registry,
    pool: PgPool,
    links: Links,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Watchers {
    /// Lets up to `most` watchers in, until `stop`.
    pub(crate) fn new(
        most: u16,
        pool: PgPool,
        links: Links,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            room: Arc::new(Semaphore::new(most.into())),
            registry: Registry::default(),
            pool,
            links,
            tasks,
            stop,
        }
    }

    /// Watches a job. What [`Watcher::next`] returns was read after this call.
    ///
    /// # Errors
    ///
    /// [`TooManyWatchers`].
    pub(crate) fn watch(&self, job: JobId) -> Result<Watcher, TooManyWatchers> {
        let place = Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| TooManyWatchers)?;
        let (changes, after, is_first) = self.registry.enter(job);
        if is_first {
            self.tasks.spawn(self.clone().poll());
        }
        Ok(Watcher {
            changes,
            after,
            stop: self.stop.clone(),
            _place: place,
            _counted: metrics::watching(),
        })
    }

    /// Asks Postgres again and again, until nobody watches any more.
    async fn poll(self) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let Some(round) = self.registry.begin_round() else {
                return;
            };
            match self.ask(&round).await {
                Ok(changed) => self.registry.publish(round.number, changed),
                Err(error) => warn!(
                    error = &error as &dyn Error,
                    "could not look for changes of jobs"
                ),
            }
        }
    }

    /// Returns the jobs that have changed; nothing for one that cannot be shown.
    async fn ask(
        &self,
        round: &Round,
    ) -> Result<HashMap<JobId, Option<Arc<Snapshot>>>, StoreError> {
        let mut connection = store::acquire(&self.pool).await?;
        let rows = store::jobs::changed(&mut connection, &round.jobs).await?;
        drop(connection);
        let mut changed = HashMap::with_capacity(rows.len());
        for row in rows {
            match row {
                Ok(job) => {
                    let snapshot = Snapshot::of(&job, &self.links)
                        .inspect_err(|error| {
                            warn!(error = error as &dyn Error, "a job cannot be shown");
                        })
                        .ok();
                    changed.insert(job.id, snapshot.map(Arc::new));
                }
                Err(StoreError::Corrupt { job, detail }) => {
                    warn!(job.id = %job, detail, "a job cannot be read");
                    changed.insert(job, None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }
}

/// Somebody who waits for changes of a job.
pub(crate) struct Watcher {
    changes: watch::Receiver<Option<Seen>>,
    after: u64,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Watcher {
    /// Waits for the next state of the job, which may be the one that is known already. Nothing
    /// more comes when the process stops, or the job cannot be shown any more.
    pub(crate) async fn next(&mut self) -> Option<Arc<Snapshot>> {
        loop {
            self.stop
                .run_until_cancelled(self.changes.changed())
                .await?
                .ok()?;
            let seen = self.changes.borrow_and_update();
            if let Some(seen) = seen.as_ref().filter(|seen| seen.round > self.after) {
                return Some(Arc::clone(&seen.snapshot));
            }
        }
    }
}
