//! Wake-ups through a real Redis, also through one that dies.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use devstack::{Env, Redis};
use domain::{JobId, WorkerId};
use queue::{Pushed, QueueConfig, QueueError, Wakeups};
use redis::aio::MultiplexedConnection;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MAX_UNDELIVERED: u32 = 1_000;

#[tokio::test]
async fn a_push_wakes_a_worker_within_a_second() -> Result<()> {
    let config = config(&Env::shared().redis_url);
    let mut worker = Worker::start(&config, 1);
    let wakeups = Wakeups::connect(&config)?;
    // Twice, since a job may be pushed again for a retry.
    let job = job();
    for _ in 0..2 {
        assert_eq!(wakeups.push(job).await?, Pushed::Queued);
        assert_eq!(worker.woken(Duration::from_secs(1)).await?, job);
    }
    worker.stop().await
}

#[tokio::test]
async fn workers_share_the_messages() -> Result<()> {
    let config = config(&Env::shared().redis_url);
    let wakeups = Wakeups::connect(&config)?;
    let mut pushed = HashSet::new();
    for _ in 0..20 {
        let job = job();
        wakeups.push(job).await?;
        pushed.insert(job);
    }
    let (mut one, mut two) = (Worker::start(&config, 1), Worker::start(&config, 2));
    // While neither receives, each takes two: one is in its channel, one waits for room there.
    let mut redis = connect(&config).await?;
    until("each has taken two", async || {
        Ok(undelivered(&mut redis, &config).await? == 16)
    })
    .await?;
    let mut woken = HashSet::new();
    for _ in 0..20 {
        let job = tokio::select! {
            job = one.woken(Duration::from_secs(5)) => job?,
            job = two.woken(Duration::from_secs(5)) => job?,
        };
        assert!(woken.insert(job), "{job} came twice");
    }
    assert_eq!(woken, pushed);
    one.stop().await?;
    two.stop().await
}

#[tokio::test]
async fn a_worker_that_stops_gives_back_what_it_held() -> Result<()> {
    let config = config(&Env::shared().redis_url);
    let wakeups = Wakeups::connect(&config)?;
    let mut pushed = HashSet::from([job(), job()]);
    for job in &pushed {
        wakeups.push(*job).await?;
    }
    // The busy worker takes both: one is in its channel, one waits for room there.
    let mut busy = Worker::start(&config, 1);
    let mut redis = connect(&config).await?;
    until("both are taken", async || {
        Ok(undelivered(&mut redis, &config).await? == 0)
    })
    .await?;
    busy.shutdown.cancel();
    (&mut busy.task).await?;
    let delivered = busy.woken(Duration::ZERO).await?;
    assert!(pushed.remove(&delivered));

    let mut idle = Worker::start(&config, 2);
    let mut woken = idle.woken(Duration::from_secs(5)).await?;
    if woken == delivered {
        // It comes again when the worker stopped before Redis heard that it was delivered.
        woken = idle.woken(Duration::from_secs(5)).await?;
    }
    assert_eq!(HashSet::from([woken]), pushed);
    idle.stop().await
}

#[tokio::test]
async fn redis_keeps_a_bounded_number_of_messages_and_nothing_in_the_end() -> Result<()> {
    let config = config(&Env::shared().redis_url);
    let wakeups = Wakeups::connect(&config)?;
    let mut skipped = 0;
    for _ in 0..3_000 {
        if wakeups.push(job()).await? == Pushed::Skipped {
            skipped += 1;
        }
    }
    let mut redis = connect(&config).await?;
    assert_eq!(undelivered(&mut redis, &config).await?, MAX_UNDELIVERED);
    assert_eq!(skipped, 3_000 - MAX_UNDELIVERED);

    let mut worker = Worker::start(&config, 1);
    for _ in 0..MAX_UNDELIVERED {
        worker.woken(Duration::from_secs(5)).await?;
    }
    until("delivered messages are forgotten", async || {
        Ok(keys(&mut redis, &config)
            .await?
            .iter()
            .all(|key| key.contains(":workers")))
    })
    .await?;
    worker.stop().await?;
    assert_eq!(keys(&mut redis, &config).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_message_without_its_data_stops_nobody_for_long() -> Result<()> {
    let config = config(&Env::shared().redis_url);
    let wakeups = Wakeups::connect(&config)?;
    wakeups.push(job()).await?;
    // As a Redis that evicts keys does.
    let mut redis = connect(&config).await?;
    let () = redis::cmd("DEL")
        .arg(format!("{}:data", config.name))
        .query_async(&mut redis)
        .await?;
    let mut worker = Worker::start(&config, 1);
    let job = job();
    wakeups.push(job).await?;
    assert_eq!(worker.woken(Duration::from_secs(5)).await?, job);
    worker.stop().await
}

#[tokio::test]
async fn a_redis_that_was_killed_flushed_or_stalled_is_found_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let redis = Redis::start(dir.path()).await?;
    let config = config(&redis.url());
    let wakeups = Wakeups::connect(&config)?;
    let mut worker = Worker::start(&config, 1);
    wakeups.push(job()).await?;
    worker.woken(Duration::from_secs(5)).await?;

    redis.kill().await?;
    fails_in_time(&config, wakeups.push(job()).await);
    redis.restart().await?;
    wakes(&wakeups, &mut worker).await?;

    let mut connection = connect(&config).await?;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await?;
    wakes(&wakeups, &mut worker).await?;

    // Longer than a push waits, and than a worker does for an answer.
    let () = redis::cmd("CLIENT")
        .arg("PAUSE")
        .arg(3_000)
        .query_async(&mut connection)
        .await?;
    fails_in_time(&config, wakeups.push(job()).await);
    wakes(&wakeups, &mut worker).await?;
    worker.stop().await
}

#[tokio::test]
async fn a_redis_that_was_restarted_costs_no_wake_up() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let redis = Redis::start(dir.path()).await?;
    let wakeups = Wakeups::connect(&config(&redis.url()))?;
    wakeups.push(job()).await?;
    redis.kill().await?;
    redis.restart().await?;
    assert_eq!(wakeups.push(job()).await?, Pushed::Queued);
    Ok(())
}

#[tokio::test]
async fn without_redis_a_push_fails_in_time_and_recovers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let redis = Redis::start(dir.path()).await?;
    redis.kill().await?;
    let config = config(&redis.url());
    let mut worker = Worker::start(&config, 1);
    let wakeups = Wakeups::connect(&config)?;
    for _ in 0..3 {
        let started = Instant::now();
        fails_in_time(&config, wakeups.push(job()).await);
        wakeups.ping().await.expect_err("redis is away");
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
    }
    redis.restart().await?;
    until("a push succeeds", async || Ok(wakeups.ping().await.is_ok())).await?;
    wakes(&wakeups, &mut worker).await?;
    worker.stop().await
}

#[tokio::test]
async fn a_wrong_configuration_is_told() {
    let valid = config("redis://127.0.0.1:1");
    for wrong in [
        QueueConfig {
            name: "a:b".to_owned(),
            ..valid.clone()
        },
        QueueConfig {
            max_undelivered: 8_000,
            ..valid.clone()
        },
        QueueConfig {
            url: SecretString::from("http://127.0.0.1"),
            ..valid
        },
    ] {
        assert!(Wakeups::connect(&wrong).is_err(), "{wrong:?}");
    }
}

fn config(url: &str) -> QueueConfig {
    QueueConfig {
        url: SecretString::from(url),
        name: format!("test-{}", Uuid::new_v4()),
        push_timeout_ms: 250,
        max_undelivered: MAX_UNDELIVERED,
        poll_interval_ms: 100,
        response_timeout_ms: 2_000,
    }
}

fn job() -> JobId {
    Uuid::new_v4().into()
}

fn fails_in_time(config: &QueueConfig, result: Result<Pushed, QueueError>) {
    let error = result.expect_err("redis is away");
    assert!(
        matches!(
            error,
            QueueError::Timeout(_) | QueueError::Redis(_) | QueueError::Push(_)
        ),
        "{error:?} within {} ms",
        config.push_timeout_ms
    );
}

/// Pushes until a wake-up arrives, as the dispatcher does for a job that nobody has taken.
async fn wakes(wakeups: &Wakeups, worker: &mut Worker) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while Instant::now() < deadline {
        let job = job();
        if wakeups.push(job).await.is_ok() && worker.woken(Duration::from_millis(500)).await.is_ok()
        {
            return Ok(());
        }
    }
    bail!("no wake-up arrived")
}

/// A worker process: it consumes, and has room for one wake-up.
struct Worker {
    wake: mpsc::Receiver<JobId>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    fn start(config: &QueueConfig, number: u32) -> Self {
        let (sender, wake) = mpsc::channel(1);
        let shutdown = CancellationToken::new();
        let (config, token) = (config.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            queue::consume(&config, &WorkerId::new("test", 1, number), token, sender).await;
        });
        Self {
            wake,
            shutdown,
            task,
        }
    }

    async fn woken(&mut self, deadline: Duration) -> Result<JobId> {
        let job = timeout(deadline, self.wake.recv())
            .await
            .context("no wake-up in time")?;
        job.context("the consumer is gone")
    }

    async fn stop(self) -> Result<()> {
        self.shutdown.cancel();
        timeout(Duration::from_secs(5), self.task)
            .await
            .context("it does not stop")??;
        Ok(())
    }
}

async fn connect(config: &QueueConfig) -> Result<MultiplexedConnection> {
    use secrecy::ExposeSecret;
    let client = redis::Client::open(config.url.expose_secret())?;
    Ok(client.get_multiplexed_async_connection().await?)
}

async fn undelivered(redis: &mut MultiplexedConnection, config: &QueueConfig) -> Result<u32> {
    let (scheduled, active): (u32, u32) = redis::pipe()
        .zcard(format!("{}:scheduled", config.name))
        .llen(format!("{}:active", config.name))
        .query_async(redis)
        .await?;
    Ok(scheduled + active)
}

async fn keys(redis: &mut MultiplexedConnection, config: &QueueConfig) -> Result<Vec<String>> {
    let pattern = format!("{}:*", config.name);
    Ok(redis::cmd("KEYS").arg(pattern).query_async(redis).await?)
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await? {
        if Instant::now() > deadline {
            bail!("it never came true that {what}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
