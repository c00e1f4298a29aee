//! Requests to the API per second, against pgbench with the same statements on the same server.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use serde::Serialize;
use tokio::process::Command;
use uuid::Uuid;

use crate::bench::{float, median, on_stack, percentile, save};
use crate::cargo::Binaries;
use crate::client::{Client, FileKind};
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

/// The arguments of `bench api`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many clients ask at once, of the API and of pgbench.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long each of the two is asked.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each of the two is asked.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

/// Requests of one kind, and pgbench's transactions with the same statements, in turns.
#[derive(Debug, Serialize)]
struct Comparison {
    request: &'static str,
    /// Per second.
    ours: Vec<f64>,
    /// Per second.
    pgbench: Vec<f64>,
    /// The median of ours in proportion to pgbench's, pair by pair.
    ratio: f64,
    median_ms: f64,
    p99_ms: f64,
}

/// Measures, prints a table, and writes it to `target/bench/api.json`.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring requests to the API against pgbench");
    ensure!(
        args.connections > 0 && args.seconds > 0 && args.pairs > 0,
        "there must be connections, seconds and pairs"
    );
    let comparisons =
        on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;
    print(&comparisons);
    save("api", &comparisons)
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Vec<Comparison>> {
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    // No worker runs: the job stays as it is.
    let id = post(&client).await?;
    let insert = insert_script();
    let select = format!("SELECT * FROM export_jobs WHERE job_id = '{id}';\n");
    let comparisons = vec![
        compare(stack, args, "POST", &insert, async || {
            post(&client).await.map(drop)
        })
        .await?,
        compare(stack, args, "GET", &select, async || {
            client.look_at(id).await.map(drop)
        })
        .await?,
    ];
    api.stop(GRACE).await?;
    Ok(comparisons)
}

async fn post(client: &Client) -> Result<Uuid> {
    client
        .request(Dataset::Logs, FileKind::CsvGz, true, Day(1))
        .await
}

/// What a POST writes, in one transaction.
fn insert_script() -> String {
    format!(
        "SELECT gen_random_uuid() AS id \\gset\n\
         BEGIN;\n\
         INSERT INTO export_jobs (job_id, user_id, organization_id, data_type, format, compression, \
         start_time, end_time, options) VALUES (:id, '{user}', '{organization}', 'logs', 'csv', 'gzip', \
         '2026-01-01', '2026-01-02', '{{\"order\": \"time\"}}');\n\
         INSERT INTO export_events (job_id, kind, user_id, ip) VALUES (:id, 'requested', '{user}', '127.0.0.1');\n\
         COMMIT;\n",
        user = BAKERY.user,
        organization = BAKERY.organization,
    )
}

async fn compare(
    stack: &Stack,
    args: &Args,
    name: &'static str,
    script: &str,
    request: impl AsyncFn() -> Result<()>,
) -> Result<Comparison> {
    let step = Step::begin(format!(
        "{name} on {} connections, {} pairs of {} s",
        args.connections, args.pairs, args.seconds
    ));
    let (mut ours, mut pgbench, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..=args.pairs {
        step.note(format!("{pair} of {}", args.pairs));
        let theirs_now = ask_pgbench(stack, args, script).await?;
        let (ours_now, took) = ask(args, &request).await?;
        // The first pair makes connections.
        if pair > 0 {
            pgbench.push(theirs_now);
            ours.push(ours_now);
            latencies.extend(took);
        }
    }
    step.done();
    latencies.sort();
    let at = |share| percentile(&latencies, share).as_secs_f64() * 1_000.0;
    let pairs = ours.iter().zip(&pgbench);
    Ok(Comparison {
        request: name,
        ratio: median(pairs.map(|(ours, theirs)| ours / theirs).collect()),
        median_ms: at(50),
        p99_ms: at(99),
        ours,
        pgbench,
    })
}

/// Asks again and again, and returns how often in a second, and how long each took.
async fn ask(args: &Args, request: impl AsyncFn() -> Result<()>) -> Result<(f64, Vec<Duration>)> {
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds);
    let connection = async || {
        let mut took = Vec::new();
        while Instant::now() < end {
            let asked = Instant::now();
            request().await?;
            took.push(asked.elapsed());
        }
        anyhow::Ok(took)
    };
    let took = try_join_all((0..args.connections).map(|_| connection())).await?;
    let took = took.concat();
    let per_second = float(took.len() as u64) / started.elapsed().as_secs_f64();
    Ok((per_second, took))
}

/// Returns the transactions per second that pgbench says.
async fn ask_pgbench(stack: &Stack, args: &Args, script: &str) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("script.sql");
    std::fs::write(&path, script)?;
    let connections = args.connections.to_string();
    let output = Command::new(devstack::find_postgres("pgbench")?)
        .args([
            "--no-vacuum",
            "--protocol=prepared",
            "--client",
            &connections,
        ])
        .args(["--jobs=2", "--time", &args.seconds.to_string(), "--file"])
        .arg(&path)
        .arg(&stack.env().postgres_url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("pgbench: {}", String::from_utf8_lossy(&output.stderr));
    }
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = tps.and_then(|rest| rest.split(' ').next());
    Ok(tps.context("pgbench says no tps")?.parse()?)
}

fn print(comparisons: &[Comparison]) {
    terminal::heading(
        "Requests per second in proportion to pgbench's transactions (medians of pairs)",
    );
    println!("  request    ours/s  pgbench/s  ratio  median ms   p99 ms");
    for one in comparisons {
        println!(
            "  {:<8} {:>8.0} {:>10.0} {:>6.2} {:>10.1} {:>8.1}",
            one.request,
            median(one.ours.clone()),
            median(one.pgbench.clone()),
            one.ratio,
            one.median_ms,
            one.p99_ms,
        );
    }
}
