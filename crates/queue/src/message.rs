//! The message, and the apalis queue that carries it.

use apalis_redis::{Config, ConnectionLike, RedisStorage};
use domain::JobId;
use serde::{Deserialize, Serialize};

/// Says that a job is due.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Wakeup {
    pub(crate) job_id: JobId,
}

/// Returns how apalis is to keep the queue.
///
/// One message at a time, since acknowledgements and heartbeats wait for a prefetched batch. No
/// locks, since a message is handled long before a heartbeat. No events, since nobody listens.
pub(crate) fn keys(queue: &str) -> Config {
    Config::default()
        .queue(queue)
        .batch_size(1)
        .lock_tasks(false)
        .emit_events(false)
}

pub(crate) fn storage<C>(connection: C, queue: &str) -> RedisStorage<Wakeup, C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    RedisStorage::new(connection).with_config(keys(queue))
}
