//! How long small exports take: one at a time on an idle system, and a thousand at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use futures::stream;
use indicatif::HumanCount;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::bench::{fill, on_stack, percentile, save};
use crate::cargo::Binaries;
use crate::client::FileKind;
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

/// How often the queue is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How many requests are on their way at once.
const AT_ONCE: usize = 16;

/// The arguments of `bench latency`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Log rows of each export.
    #[arg(long, value_delimiter = ',', default_value = "1,1000,100000")]
    rows: Vec<u64>,
    /// How often each export is made.
    #[arg(long, default_value_t = 50)]
    times: usize,
    /// How many exports of the first size wait in the queue when the worker starts.
    #[arg(long, default_value_t = 1_000)]
    queued: usize,
}

/// Exports of one size, from POST to COMPLETED as a client sees it that asks every 20 ms.
#[derive(Debug, Serialize)]
struct Latency {
    rows: u64,
    times: usize,
    median_ms: f64,
    p95_ms: f64,
    longest_ms: f64,
}

#[derive(Debug, Serialize)]
struct Measured {
    one_at_a_time: Vec<Latency>,
    queued: usize,
    drained_per_second: f64,
}

/// Measures, prints a table, and writes it to `target/bench/latency.json`.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring how long small exports take");
    ensure!(
        (1..=30).contains(&args.rows.len()) && args.times > 0,
        "1 to 30 sizes can be measured, each at least once"
    );
    let measured = on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;
    print(&measured);
    save("latency", &measured)
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Measured> {
    let days: Vec<_> = (1..).map(Day).zip(args.rows.iter().copied()).collect();
    for &(day, rows) in &days {
        fill(stack, Dataset::Logs, day, rows).await?;
    }
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let worker = stack.spawn_worker(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    let export = async |day| {
        let started = Instant::now();
        let id = client
            .request(Dataset::Logs, FileKind::CsvGz, true, day)
            .await?;
        let file = client.completed(id, |_| ()).await?;
        anyhow::Ok((file.rows, started.elapsed()))
    };
    let mut one_at_a_time = Vec::new();
    for &(day, rows) in &days {
        let step = Step::begin(format!("Export {} rows", HumanCount(rows)));
        // The first one makes connections.
        export(day).await?;
        let mut took = Vec::new();
        for _ in 0..args.times {
            let (exported, elapsed) = export(day).await?;
            ensure!(exported == rows, "the file has {exported} rows");
            took.push(elapsed.as_secs_f64() * 1_000.0);
        }
        took.sort_by(f64::total_cmp);
        let at = |share| percentile(&took, share);
        one_at_a_time.push(Latency {
            rows,
            times: args.times,
            median_ms: at(50),
            p95_ms: at(95),
            longest_ms: at(100),
        });
        step.done();
    }
    worker.stop(GRACE).await?;

    let step = Step::begin(format!("Drain {} exports", args.queued));
    let day = days[0].0;
    let posted = stream::iter(0..args.queued)
        .map(|_| client.request(Dataset::Logs, FileKind::CsvGz, true, day))
        .buffer_unordered(AT_ONCE);
    let posted: Vec<_> = posted.collect().await;
    for id in posted {
        id?;
    }
    let mut postgres = PgConnection::connect(&stack.env().postgres_url).await?;
    let started = Instant::now();
    let worker = stack.spawn_worker(binaries).await?;
    loop {
        let counts = "SELECT count(*) FILTER (WHERE status IN ('PENDING', 'PROCESSING')), \
                      count(*) FILTER (WHERE status = 'FAILED') FROM export_jobs";
        let (left, failed): (i64, i64) = sqlx::query_as(counts).fetch_one(&mut postgres).await?;
        ensure!(failed == 0, "{failed} exports fail");
        if left == 0 {
            break;
        }
        step.note(format!("{left} left"));
        tokio::time::sleep(POLL).await;
    }
    let elapsed = started.elapsed();
    step.done();
    postgres.close().await?;
    worker.stop(GRACE).await?;
    api.stop(GRACE).await?;
    #[expect(clippy::cast_precision_loss, reason = "only shown to people")]
    let drained_per_second = args.queued as f64 / elapsed.as_secs_f64();
    Ok(Measured {
        one_at_a_time,
        queued: args.queued,
        drained_per_second,
    })
}

fn print(measured: &Measured) {
    terminal::heading("From POST to COMPLETED, one at a time");
    println!("        rows   times    median ms       p95 ms   longest ms");
    for one in &measured.one_at_a_time {
        println!(
            "  {:>10} {:>7} {:>12.0} {:>12.0} {:>12.0}",
            HumanCount(one.rows).to_string(),
            one.times,
            one.median_ms,
            one.p95_ms,
            one.longest_ms,
        );
    }
    println!(
        "\n  {} queued exports: {:.1} per second",
        measured.queued, measured.drained_per_second
    );
}
