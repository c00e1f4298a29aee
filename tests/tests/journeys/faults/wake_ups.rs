//! Redis is a hint: with it a job starts at once, without it a job starts all the same.

use std::time::{Duration, Instant};

use anyhow::Result;
use devstack::Redis;
use e2e::World;
use serde_json::json;

#[tokio::test]
async fn a_wake_up_is_faster_than_the_poll() -> Result<()> {
    let world = World::new().await?;
    let slow_poll = [("EXPORT__WORKER__POLL_INTERVAL_MS", "600000")];
    let api = world.api(&[]).await?;
    let _worker = world.worker(&slow_poll).await?;
    // The first job may meet the worker's first look; the second meets a worker that waits.
    for _ in 0..2 {
        api.completed(&api.accepted(&json!({})).await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_redis_jobs_are_taken_and_done() -> Result<()> {
    let mut world = World::new().await?;
    let redis = Redis::start(&world.dir.path().join("redis")).await?;
    world.env.redis_url = redis.url();
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    api.completed(&api.accepted(&json!({})).await?).await?;

    redis.kill().await?;
    let asked = Instant::now();
    let id = api.accepted(&json!({})).await?;
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    api.completed(&id).await?;

    redis.restart().await?;
    api.completed(&api.accepted(&json!({})).await?).await?;
    redis.stop().await
}
