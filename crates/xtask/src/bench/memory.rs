//! How much memory exports of growing size take.

use std::time::Instant;

use anyhow::{Result, ensure};
use indicatif::HumanCount;
use serde::Serialize;

use crate::bench::usage::peak_rss_mib;
use crate::bench::{MIB, float, on_stack, save};
use crate::cargo::Binaries;
use crate::client::{FileKind, Job};
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

/// The largest peak that the default configuration may have: 300 MB.
const LIMIT_MIB: f64 = 286.0;

/// How much more memory than the first size the others may take.
const LIMIT_GROWTH: f64 = 1.1;

/// The arguments of `bench memory`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Log rows of each export.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1000000,4000000,16000000"
    )]
    rows: Vec<u64>,
}

/// Measures the memory, prints a table, and fails when it is over the limits.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring the memory of export-worker");
    let runs = on_stack(async |stack, binaries| measure(stack, binaries, &args.rows).await).await?;

    print(&runs);
    save("memory", &runs)?;
    for run in &runs {
        ensure!(
            run.peak_rss_mib <= LIMIT_MIB && run.growth <= LIMIT_GROWTH,
            "{} of {} rows takes {:.0} MiB, {:.2} times the first; allowed are {LIMIT_MIB} MiB and {LIMIT_GROWTH}",
            run.format,
            HumanCount(run.rows),
            run.peak_rss_mib,
            run.growth,
        );
    }
    Ok(())
}

/// One export.
#[derive(Debug, Serialize)]
struct Run {
    format: &'static str,
    rows: u64,
    seconds: f64,
    rows_per_second: f64,
    file_mib: f64,
    peak_rss_mib: f64,
    /// The peak in proportion to that of the first size.
    growth: f64,
}

async fn measure(stack: &Stack, binaries: &Binaries, sizes: &[u64]) -> Result<Vec<Run>> {
    let days: Vec<Day> = (1..=30).map(Day).take(sizes.len()).collect();
    ensure!(
        days.len() == sizes.len(),
        "at most 30 sizes can be measured"
    );
    let clickhouse = stack.clickhouse();
    for (&day, &rows) in days.iter().zip(sizes) {
        let step = Step::begin(format!("Fill in {} log rows", HumanCount(rows)));
        let preset = stack.preset();
        preset
            .seed(
                &clickhouse,
                Some(Dataset::Logs),
                BAKERY.organization,
                day,
                rows,
            )
            .await?;
        step.done();
    }

    let (api, api_url) = stack.spawn_api(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    let mut runs: Vec<Run> = Vec::new();
    for kind in [FileKind::CsvGz, FileKind::Parquet] {
        let first = runs.len();
        for (&day, &rows) in days.iter().zip(sizes) {
            let step = Step::begin(format!(
                "Export {} rows as {}",
                HumanCount(rows),
                kind.name()
            ));
            let mut worker = stack.spawn_worker(binaries).await?;
            let started = Instant::now();
            let id = client.request(Dataset::Logs, kind, true, day).await?;
            let report = |job: &Job| step.note(format!("{} %", job.progress));
            let file = tokio::select! {
                file = client.completed(id, report) => file?,
                error = worker.ended() => return Err(error),
            };
            let seconds = started.elapsed().as_secs_f64();
            let peak_rss_mib = peak_rss_mib(worker.pid())?;
            worker.stop(GRACE).await?;
            ensure!(file.rows == rows, "the file has {} rows", file.rows);
            step.done();
            runs.push(Run {
                format: kind.name(),
                rows,
                seconds,
                rows_per_second: float(rows) / seconds,
                file_mib: float(file.size_bytes) / MIB,
                peak_rss_mib,
                growth: peak_rss_mib / runs.get(first).map_or(peak_rss_mib, |run| run.peak_rss_mib),
            });
        }
    }
    api.stop(GRACE).await?;
    Ok(runs)
}

fn print(runs: &[Run]) {
    terminal::heading("Peak memory of export-worker");
    println!("  format           rows   seconds      rows/s   file MiB   peak MiB   growth");
    for run in runs {
        println!(
            "  {:<8} {:>12} {:>9.1} {:>11.0} {:>10.1} {:>10.1} {:>8.2}",
            run.format,
            HumanCount(run.rows).to_string(),
            run.seconds,
            run.rows_per_second,
            run.file_mib,
            run.peak_rss_mib,
            run.growth,
        );
    }
}
