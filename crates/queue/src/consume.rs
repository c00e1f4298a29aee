//! The workers' side: forwards wake-ups for as long as the process lives, whatever Redis does.

use std::time::Duration;

use apalis::prelude::{BackendExt, Data, WorkerBuilder, WorkerBuilderExt};
use domain::{JobId, WorkerId};
use redis::AsyncConnectionConfig;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::QueueConfig;
use crate::error::QueueError;
use crate::housekeeping::{forget_delivered, retire_worker};
use crate::message::{Wakeup, keys, storage};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Forwards wake-ups to `wake` until `shutdown` is cancelled or the receiver is gone. Call it once
/// for a `worker`.
///
/// While `wake` is full, the next message is held and the rest stay in Redis, where workers that
/// are idle find them: so give it little room, and receive only when there is something to run a
/// job on. An apalis worker ends with each error of Redis; here it is replaced, sooner at first
/// and at least every five seconds.
pub async fn consume(
    config: &QueueConfig,
    worker: &WorkerId,
    shutdown: CancellationToken,
    wake: mpsc::Sender<JobId>,
) {
    let mut pause = FIRST_PAUSE;
    // Redis refuses a worker whose name it knows, even after a clean end.
    for run in 1_u64.. {
        let started = Instant::now();
        let end = run_worker(config, &format!("{worker}-{run}"), &shutdown, &wake).await;
        if shutdown.is_cancelled() || wake.is_closed() {
            return;
        }
        if started.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        if let Err(error) = end {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                error,
                retry_ms = pause.as_millis(),
                "wake-ups are interrupted"
            );
        }
        select! {
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = shutdown.cancelled() => return,
        }
    }
}

/// Runs one apalis worker on a connection of its own until something ends it.
async fn run_worker(
    config: &QueueConfig,
    name: &str,
    shutdown: &CancellationToken,
    wake: &mpsc::Sender<JobId>,
) -> Result<(), QueueError> {
    let keys = keys(&config.name);
    let patience = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.response_timeout()))
        .set_response_timeout(Some(config.response_timeout()));
    let client = config.client()?;
    let connection = select! {
        connection = client.get_multiplexed_async_connection_with_config(&patience) => connection?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let worker = WorkerBuilder::new(name)
        .backend(
            storage(connection.clone(), &config.name).poll_with_interval(config.poll_interval()),
        )
        .data(wake.clone())
        .concurrency(1)
        .build(forward);
    let end = select! {
        end = worker.run() => end.map_err(QueueError::from),
        error = forget_delivered(connection.clone(), &keys) => Err(error.into()),
        () = shutdown.cancelled() => Ok(()),
        () = wake.closed() => Ok(()),
    };
    // The first error says more than that of cleaning up after it.
    let retired = retire_worker(connection, &keys, name).await;
    end.and(retired.map_err(QueueError::from))
}

/// Handles a message. It cannot fail, so apalis never retries one.
async fn forward(wakeup: Wakeup, wake: Data<mpsc::Sender<JobId>>) {
    // The receiver is gone when the process stops, and then nobody wants to know.
    let _ = wake.send(wakeup.job_id).await;
}
