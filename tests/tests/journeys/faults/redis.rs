//! Redis is a hint: with it a job starts at once, and without it a job starts all the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devstack::Redis;
use e2e::{Api, World, eventually};
use reqwest::Url;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bucket::proxy_before;
use crate::exports::{Slow, check_file, plain};

/// Longer than any test waits: what happens is not due to a poll.
const NO_POLL: [(&str, &str); 1] = [("EXPORT__WORKER__POLL_INTERVAL_MS", "600000")];

/// What happens to Redis.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    Flushed,
    /// For two seconds.
    Stalled,
    OutOfMemory,
}

const FAULTS: [Fault; 4] = [
    Fault::Killed,
    Fault::Flushed,
    Fault::Stalled,
    Fault::OutOfMemory,
];

impl Fault {
    async fn strike(self, redis: &Redis) -> Result<()> {
        match self {
            Self::Killed => redis.kill().await,
            Self::Flushed => command(redis, "FLUSHALL").await,
            Self::Stalled => command(redis, "CLIENT PAUSE 2000 ALL").await,
            Self::OutOfMemory => command(redis, "CONFIG SET maxmemory 1").await,
        }
    }

    async fn end(self, redis: &Redis) -> Result<()> {
        match self {
            Self::Killed => redis.restart().await,
            Self::Flushed => Ok(()),
            // Answers when the stall is over.
            Self::Stalled => command(redis, "CLIENT UNPAUSE").await,
            Self::OutOfMemory => command(redis, "CONFIG SET maxmemory 0").await,
        }
    }
}

async fn command(redis: &Redis, command: &str) -> Result<()> {
    let url = Url::parse(&redis.url())?;
    let host = url.host_str().context("a host")?;
    let mut connection = TcpStream::connect((host, url.port().context("a port")?)).await?;
    let line = format!("{command}\r\n");
    connection.write_all(line.as_bytes()).await?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).await?;
    ensure!(&answer == b"+OK\r\n", "{command}: {answer:?}");
    Ok(())
}

/// Starts a Redis for the binaries that start from now on.
async fn private(world: &mut World) -> Result<Redis> {
    let redis = Redis::start(world.dir.path()).await?;
    world.env.redis_url = redis.url();
    Ok(redis)
}

/// Asks for an export, which must be accepted without delay.
async fn asked(api: &Api) -> Result<String> {
    let asked = Instant::now();
    let id = api.accepted(&json!({})).await?;
    let elapsed = asked.elapsed();
    ensure!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    Ok(id)
}

#[tokio::test]
async fn a_wake_up_is_faster_than_the_poll() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&NO_POLL).await?;
    // The first job may meet the worker's first look; the second meets a worker that waits.
    for _ in 0..2 {
        api.completed(&asked(&api).await?).await?;
    }
    world.check_invariants().await
}

#[tokio::test]
async fn whatever_happens_to_redis_jobs_are_taken_and_done() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let redis = private(&mut world).await?;
    let api = world.api(&[]).await?;
    let before = asked(&api).await?;
    Fault::Flushed.strike(&redis).await?;
    let _worker = world.worker(&[]).await?;
    api.completed(&before).await?;
    for fault in FAULTS {
        fault.strike(&redis).await?;
        let id = asked(&api).await.with_context(|| format!("{fault:?}"))?;
        let job = api
            .completed(&id)
            .await
            .with_context(|| format!("{fault:?}"))?;
        assert_eq!(job["file"]["rows"], 100);
        fault.end(&redis).await?;
    }
    world.check_invariants().await?;
    redis.stop().await
}

#[tokio::test]
async fn wake_ups_arrive_again_after_whatever_happened_to_redis() -> Result<()> {
    let mut world = World::new().await?;
    let redis = private(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&NO_POLL).await?;
    for fault in FAULTS {
        for _ in 0..2 {
            api.completed(&asked(&api).await?).await?;
        }
        fault.strike(&redis).await?;
        fault.end(&redis).await?;
        // The API finds out that its connection is gone when it uses it.
        eventually("that the API reaches Redis", async || {
            let (_, ready) = api.get("/readyz").await?;
            Ok((ready["dependencies"]["redis"]["status"] == "up").then_some(()))
        })
        .await?;
        // Nothing but a wake-up can start it.
        let id = asked(&api).await?;
        api.completed(&id)
            .await
            .with_context(|| format!("{fault:?}"))?;
    }
    world.check_invariants().await?;
    redis.stop().await
}

#[tokio::test]
async fn an_export_that_runs_does_not_notice_that_redis_dies() -> Result<()> {
    let mut journey = Slow::new().await?;
    let redis = private(&mut journey.world).await?;
    let _worker = journey.slow_worker(&[]).await?;
    let id = journey.begun(1).await?;
    redis.kill().await?;
    journey.clickhouse.heal().await?;
    journey.check_completed(&id).await?;
    redis.stop().await
}

#[tokio::test]
async fn a_redis_that_hangs_holds_up_neither_a_request_nor_a_job_nor_the_end() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.redis_url).await?;
    world.env.redis_url = through_proxy;
    let api = world.api(&[]).await?;
    let worker = world.worker(&[]).await?;
    api.completed(&asked(&api).await?).await?;
    proxy.stall_after(0);
    for _ in 0..3 {
        api.completed(&asked(&api).await?).await?;
    }
    let id = api.accepted(&plain()).await?;
    check_file(&world, &api, &api.completed(&id).await?).await?;
    world.check_invariants().await?;
    worker.stop(Duration::from_secs(20)).await
}
