//! Clients that listen to exports while others ask: what the API answers, how fast, and in how much memory.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Response;
use serde::Serialize;
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bench::usage::{cpu_seconds, peak_rss_mib};
use crate::bench::{float, on_stack, percentile, save};
use crate::cargo::Binaries;
use crate::client::{Client, FileKind};
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

/// The most that the API may have: 150 MB.
const LIMIT_MIB: f64 = 143.0;

/// Exports that are listened to.
const JOBS: usize = 100;

/// Listeners that come at the same moment.
const AT_ONCE: usize = 50;

/// The time between two changes of each export, as a worker writes its progress.
const CHANGE: Duration = Duration::from_secs(1);

/// The arguments of `bench listeners`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many clients listen.
    #[arg(long, default_value_t = 1_000)]
    listeners: usize,
    /// How many requests come in a second, whether earlier ones are answered or not.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// For how long.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Run {
    listeners: usize,
    requests: usize,
    errors: usize,
    requests_per_second: f64,
    /// From the moment in which a request was due.
    median_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
    /// How often each export changed.
    changes: usize,
    events: usize,
    /// Events that the listener with the fewest got.
    fewest_events: usize,
    cpu_percent: f64,
    peak_rss_mib: f64,
}

/// Measures, prints the figures, writes them to `target/bench/listeners.json`, and fails when anything went
/// wrong or the memory is over its limit.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring the API with clients that listen");
    ensure!(args.listeners > 0, "somebody must listen");
    let run = on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;
    print(&run);
    save("listeners", &run)?;
    ensure!(run.errors == 0, "{} requests failed", run.errors);
    ensure!(
        run.peak_rss_mib <= LIMIT_MIB,
        "the API takes {:.0} MiB; allowed are {LIMIT_MIB}",
        run.peak_rss_mib
    );
    Ok(())
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Run> {
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    // No worker runs: it would take the machine. The jobs change as if one had them.
    let jobs = try_join_all((0..JOBS).map(|_| post(&client))).await?;
    let worker = Worker::of(&stack.env().postgres_url, jobs.clone()).await?;

    let step = Step::begin(format!("{} clients begin to listen", args.listeners));
    let listeners = jobs.iter().cycle().take(args.listeners);
    let listening: Vec<Response> = stream::iter(listeners)
        .map(|job| client.listen(*job))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut listeners = JoinSet::new();
    for events in listening {
        listeners.spawn(count(events));
    }
    step.done();

    let step = Step::begin(format!(
        "{} requests a second for {} s",
        args.rate, args.seconds
    ));
    let time = Duration::from_secs(args.seconds);
    let (cpu, started) = (cpu_seconds(api.pid())?, Instant::now());
    let (changes, asked) = tokio::join!(worker.work(time), ask(&client, &jobs, args.rate, time));
    let (changes, (mut took, errors)) = (changes?, asked);
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds(api.pid())? - cpu;
    step.done();

    worker.end().await?;
    let mut events = Vec::with_capacity(args.listeners);
    while let Some(one) = listeners.join_next().await {
        events.push(one??);
    }
    let peak_rss_mib = peak_rss_mib(api.pid())?;
    api.stop(GRACE).await?;

    for error in errors.iter().take(3) {
        eprintln!("{error:#}");
    }
    took.sort();
    ensure!(!took.is_empty(), "no request was answered");
    let at = |share| percentile(&took, share).as_secs_f64() * 1_000.0;
    Ok(Run {
        listeners: args.listeners,
        requests: took.len() + errors.len(),
        errors: errors.len(),
        requests_per_second: float(took.len() as u64) / seconds,
        median_ms: at(50),
        p95_ms: at(95),
        p99_ms: at(99),
        longest_ms: at(100),
        changes,
        events: events.iter().sum(),
        fewest_events: events.iter().copied().min().unwrap_or_default(),
        cpu_percent: cpu / seconds * 100.0,
        peak_rss_mib,
    })
}

async fn post(client: &Client) -> Result<Uuid> {
    client
        .request(Dataset::Logs, FileKind::CsvGz, true, Day(1))
        .await
}

/// Counts events until the last one, `end`.
async fn count(mut events: Response) -> Result<usize> {
    let (mut count, mut line) = (0, Vec::new());
    while let Some(chunk) = events.chunk().await? {
        for byte in chunk {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            count += usize::from(line.starts_with(b"event: "));
            if line == b"event: end" {
                return Ok(count);
            }
            line.clear();
        }
    }
    bail!("the events broke off after {count}")
}

/// Asks at a steady rate: of ten requests seven look at a job, two list jobs and one makes one. Returns how
/// long each took, and what failed.
async fn ask(
    client: &Client,
    jobs: &[Uuid],
    rate: u32,
    time: Duration,
) -> (Vec<Duration>, Vec<anyhow::Error>) {
    let started = Instant::now();
    let mut due = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut requests = JoinSet::new();
    for number in 0.. {
        let due = due.tick().await.into_std();
        if started.elapsed() >= time {
            break;
        }
        let (client, job) = (client.clone(), jobs[number % jobs.len()]);
        requests.spawn(async move {
            match number % 10 {
                0 => drop(post(&client).await?),
                1 | 2 => client.list().await?,
                _ => drop(client.look_at(job).await?),
            }
            anyhow::Ok(due.elapsed())
        });
    }
    let (mut took, mut errors) = (Vec::new(), Vec::new());
    for outcome in requests.join_all().await {
        match outcome {
            Ok(one) => took.push(one),
            Err(error) => errors.push(error),
        }
    }
    (took, errors)
}

/// Writes into the rows of jobs what a worker would.
struct Worker {
    pool: PgPool,
    jobs: Vec<Uuid>,
}

impl Worker {
    /// Takes jobs.
    async fn of(postgres_url: &str, jobs: Vec<Uuid>) -> Result<Self> {
        let pool = PgPool::connect(postgres_url).await?;
        let worker = Self { pool, jobs };
        worker
            .write(
                "UPDATE export_jobs
                 SET status = 'PROCESSING', started_at = now(), updated_at = now(), rows_estimated = 1000000,
                     token = 1, attempts = 1, lease_owner = 'bench', lease_until = now() + interval '1 hour'
                 WHERE job_id = ANY($1)",
            )
            .await?;
        Ok(worker)
    }

    /// Makes progress for a while, and returns how often.
    async fn work(&self, time: Duration) -> Result<usize> {
        let started = Instant::now();
        let mut next = tokio::time::interval(CHANGE);
        let mut changes = 0;
        while started.elapsed() < time {
            next.tick().await;
            self.write(
                "UPDATE export_jobs
                 SET rows_exported = rows_exported + 1000, progress = least(progress + 1, 99), updated_at = now()
                 WHERE job_id = ANY($1)",
            )
            .await?;
            changes += 1;
        }
        Ok(changes)
    }

    /// Ends the jobs.
    async fn end(&self) -> Result<()> {
        self.write(
            "UPDATE export_jobs
             SET status = 'CANCELLED', completed_at = now(), updated_at = now(),
                 lease_owner = NULL, lease_until = NULL
             WHERE job_id = ANY($1)",
        )
        .await
    }

    async fn write(&self, sql: &'static str) -> Result<()> {
        let written = sqlx::query(sql)
            .bind(&self.jobs)
            .execute(&self.pool)
            .await
            .context("the jobs cannot be changed")?;
        ensure!(
            written.rows_affected() == self.jobs.len() as u64,
            "jobs are missing"
        );
        Ok(())
    }
}

fn print(run: &Run) {
    terminal::heading("The API with clients that listen");
    let entries = [
        ("Listeners", run.listeners.to_string()),
        (
            "Requests",
            format!(
                "{} ({:.0} a second), {} failed",
                run.requests, run.requests_per_second, run.errors
            ),
        ),
        (
            "Answered in",
            format!(
                "{:.1} ms (median), {:.1} ms (95 %), {:.1} ms (99 %), {:.1} ms (all)",
                run.median_ms, run.p95_ms, run.p99_ms, run.longest_ms
            ),
        ),
        (
            "Events",
            format!(
                "{} for {} changes of {JOBS} exports; {} to the listener with the fewest",
                run.events, run.changes, run.fewest_events
            ),
        ),
        ("CPU", format!("{:.0} % of a core", run.cpu_percent)),
        ("Peak memory", format!("{:.1} MiB", run.peak_rss_mib)),
    ];
    for (name, value) in entries {
        terminal::entry(name, value);
    }
}
