//! Removes what apalis leaves in Redis.

use std::time::Duration;

use apalis_redis::Config;
use redis::Script;
use redis::aio::MultiplexedConnection;

const INTERVAL: Duration = Duration::from_secs(5);

/// apalis keeps the data and the result of every message it has delivered. Its own vacuum would
/// look at every message there is, and drop some that are still to be delivered.
const FORGET_DELIVERED: &str = r"
    for _, id in ipairs(redis.call('spop', KEYS[1], 1000)) do
        redis.call('hdel', KEYS[2], id)
        redis.call('del', KEYS[3] .. ':' .. id)
    end
";

/// Takes a worker off the list at once, rather than when its heartbeats have been missed for five
/// minutes, and gives back what it held. A message that has lost its data is dropped: apalis ends
/// a worker that fetches one.
const RETIRE_WORKER: &str = r"
    for _, id in ipairs(redis.call('smembers', KEYS[1])) do
        if redis.call('hexists', KEYS[4], id) == 1 and redis.call('exists', KEYS[5] .. ':' .. id) == 1 then
            redis.call('rpush', KEYS[6], id)
        end
    end
    redis.call('del', KEYS[1], KEYS[2])
    redis.call('zrem', KEYS[3], ARGV[1])
";

/// Forgets delivered messages again and again, until Redis fails.
pub(crate) async fn forget_delivered(
    mut connection: MultiplexedConnection,
    keys: &Config,
) -> redis::RedisError {
    let script = Script::new(FORGET_DELIVERED);
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let done: redis::RedisResult<()> = script
            .key(keys.done_jobs_set())
            .key(keys.job_data_hash())
            .key(keys.job_meta_hash())
            .invoke_async(&mut connection)
            .await;
        if let Err(error) = done {
            return error;
        }
    }
}

/// Removes every trace of a worker that has ended.
pub(crate) async fn retire_worker(
    mut connection: MultiplexedConnection,
    keys: &Config,
    worker: &str,
) -> redis::RedisResult<()> {
    Script::new(RETIRE_WORKER)
        .key(format!("{}:{worker}", keys.inflight_jobs_set()))
        .key(format!("{}:metadata:{worker}", keys.workers_set()))
        .key(keys.workers_set())
        .key(keys.job_data_hash())
        .key(keys.job_meta_hash())
        .key(keys.active_jobs_list())
        .arg(worker)
        .invoke_async(&mut connection)
        .await
}
