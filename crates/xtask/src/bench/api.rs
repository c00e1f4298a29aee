//! Requests to the API per second, against pgbench with the same statements on the same server.
//!
//! No worker runs, so that the queue is soon as long as it may be, and most POSTs wake nobody: with thousands of
//! exports a second no workers could keep it short.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use devstack::setup;
use serde::Serialize;
use tokio::process::Command;

use crate::bench::wrk::{self, Request};
use crate::bench::{median, on_stack, save};
use crate::cargo::Binaries;
use crate::client::{self, FileKind};
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
    /// Medians of what wrk says of each time.
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
    setup::install_packages(&["wrk"]).await?;
    let comparisons =
        on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;
    print(&comparisons);
    save("api", &comparisons)
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Vec<Comparison>> {
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    // No worker runs: the job stays as it is.
    let (dataset, kind, by_time, day) = (Dataset::Logs, FileKind::CsvGz, true, Day(1));
    let id = client.request(dataset, kind, by_time, day).await?;
    let select = format!("SELECT * FROM export_jobs WHERE job_id = '{id}';\n");
    let to = |path: &str, body| Request {
        url: client.url(path),
        token: client.token().to_owned(),
        body,
    };
    let post = to("", Some(client::body(dataset, kind, by_time, day)));
    let get = to(&format!("/{id}"), None);
    let comparisons = vec![
        compare(stack, args, "POST", &insert_script(), &post).await?,
        compare(stack, args, "GET", &select, &get).await?,
    ];
    api.stop(GRACE).await?;
    Ok(comparisons)
}

/// What a POST writes, in one statement as a POST does.
fn insert_script() -> String {
    format!(
        "WITH job AS (\
         INSERT INTO export_jobs (job_id, user_id, organization_id, data_type, format, compression, \
         start_time, end_time, options) VALUES (gen_random_uuid(), '{user}', '{organization}', 'logs', 'csv', 'gzip', \
         '2026-01-01', '2026-01-02', '{{\"order\": \"time\"}}') RETURNING job_id, user_id, created_at\
         ), event AS (\
         INSERT INTO export_events (job_id, kind, user_id, ip) SELECT job_id, 'requested', user_id, '127.0.0.1' FROM job\
         ) SELECT created_at FROM job;\n",
        user = BAKERY.user,
        organization = BAKERY.organization,
    )
}

async fn compare(
    stack: &Stack,
    args: &Args,
    name: &'static str,
    script: &str,
    request: &Request,
) -> Result<Comparison> {
    let step = Step::begin(format!(
        "{name} on {} connections, {} pairs of {} s",
        args.connections, args.pairs, args.seconds
    ));
    let (mut ours, mut pgbench) = (Vec::new(), Vec::new());
    for pair in 0..=args.pairs {
        step.note(format!("{pair} of {}", args.pairs));
        let theirs_now = ask_pgbench(stack, args, script).await?;
        let ours_now = wrk::ask(request, args.connections, args.seconds).await?;
        // The first pair warms up.
        if pair > 0 {
            pgbench.push(theirs_now);
            ours.push(ours_now);
        }
    }
    step.done();
    let pairs = ours.iter().zip(&pgbench);
    let ratios = pairs.map(|(ours, theirs)| ours.per_second / theirs);
    Ok(Comparison {
        request: name,
        ratio: median(ratios.collect()),
        median_ms: median(ours.iter().map(|one| one.median_ms).collect()),
        p99_ms: median(ours.iter().map(|one| one.p99_ms).collect()),
        ours: ours.iter().map(|one| one.per_second).collect(),
        pgbench,
    })
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
