//! The API's side: a wake-up for a job that has just been committed.

use std::time::Duration;

use apalis::prelude::TaskSink;
use apalis_redis::Config;
use domain::JobId;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::config::QueueConfig;
use crate::error::QueueError;
use crate::message::{Wakeup, keys, storage};
use crate::metrics;

/// The longest pause between two attempts to reach a Redis that is away.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Pushes wake-ups. Cloning is cheap; clones share a connection, which mends itself.
#[derive(Clone)]
pub struct Wakeups {
    connection: ConnectionManager,
    keys: Config,
    timeout: Duration,
    max_undelivered: u32,
}

/// What became of a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the queue.
    Queued,
    /// So many wait already that the workers are busy for long; they will find the job.
    Skipped,
}

impl Wakeups {
    /// Prepares a connection, which is made when it is first used: Redis may be down. Must be
    /// called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the configuration makes no sense.
    pub fn connect(config: &QueueConfig) -> Result<Self, QueueError> {
        metrics::describe();
        let timeout = config.push_timeout();
        // Retries never end: each push waits for its own timeout only, and the first push after
        // Redis is back finds a connection rather than the last failure.
        let patience = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(usize::MAX)
            .set_max_delay(LONGEST_PAUSE);
        Ok(Self {
            connection: config.client()?.get_connection_manager_lazy(patience)?,
            keys: keys(&config.name),
            timeout,
            max_undelivered: config.max_undelivered,
        })
    }

    /// Wakes a worker for a job.
    ///
    /// # Errors
    ///
    /// When Redis is away or slow. Workers find the job by polling Postgres.
    pub async fn push(&self, job: JobId) -> Result<Pushed, QueueError> {
        let pushed = self.in_time(async {
            match self.try_push(job).await {
                // A connection that died unnoticed is noticed by being used, and is made anew then.
                Err(QueueError::Redis(error)) if error.is_connection_dropped() => {
                    self.try_push(job).await
                }
                pushed => pushed,
            }
        });
        let pushed = pushed.await;
        metrics::pushed(&pushed);
        pushed
    }

    async fn try_push(&self, job: JobId) -> Result<Pushed, QueueError> {
        let mut connection = self.connection.clone();
        let (scheduled, active): (u32, u32) = redis::pipe()
            .zcard(self.keys.scheduled_jobs_set())
            .llen(self.keys.active_jobs_list())
            .query_async(&mut connection)
            .await?;
        if scheduled.saturating_add(active) >= self.max_undelivered {
            return Ok(Pushed::Skipped);
        }
        // apalis gives each message a new id, so a job can be pushed any number of times.
        let mut queue = storage(connection, self.keys.queue.as_ref());
        queue.push(Wakeup { job_id: job }).await?;
        Ok(Pushed::Queued)
    }

    /// Checks that Redis answers.
    ///
    /// # Errors
    ///
    /// When it does not, in time.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.in_time(async {
            let mut connection = self.connection.clone();
            Ok(redis::cmd("PING").query_async(&mut connection).await?)
        })
        .await
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        tokio::time::timeout(self.timeout, work)
            .await
            .unwrap_or(Err(QueueError::Timeout(self.timeout)))
    }
}
