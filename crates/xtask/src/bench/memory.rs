//! How much memory exports of growing size take.

use std::time::Instant;

use anyhow::{Result, ensure};
use indicatif::HumanCount;
use serde::Serialize;

use crate::bench::usage::peak_rss_mib;
use crate::bench::{MIB, fill, float, median, on_stack, save};
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
    /// Which kinds of files.
    #[arg(long, value_delimiter = ',', default_value = "csv.gz,parquet")]
    only: Vec<FileKind>,
    /// How often each export is made, by a worker of its own.
    #[arg(long, default_value_t = 3)]
    times: usize,
}

/// Measures the memory, prints a table, and fails when it is over the limits.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring the memory of export-worker");
    let runs = on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;

    print(&runs);
    save("memory", &runs)?;
    for run in &runs {
        ensure!(
            run.highest_rss_mib <= LIMIT_MIB && run.growth <= LIMIT_GROWTH,
            "{} of {} rows takes up to {:.0} MiB, and mostly {:.2} times the first; allowed are {LIMIT_MIB} MiB and {LIMIT_GROWTH}",
            run.format,
            HumanCount(run.rows),
            run.highest_rss_mib,
            run.growth,
        );
    }
    Ok(())
}

/// Exports of one size, by their medians.
#[derive(Debug, Serialize)]
struct Run {
    format: &'static str,
    rows: u64,
    seconds: f64,
    rows_per_second: f64,
    file_mib: f64,
    peak_rss_mib: f64,
    /// The highest of all.
    highest_rss_mib: f64,
    /// The peak in proportion to that of the first size.
    growth: f64,
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Vec<Run>> {
    let sizes = &args.rows;
    let days: Vec<Day> = (1..=30).map(Day).take(sizes.len()).collect();
    ensure!(
        days.len() == sizes.len() && args.times > 0,
        "at most 30 sizes can be measured, each at least once"
    );
    for (&day, &rows) in days.iter().zip(sizes) {
        fill(stack, Dataset::Logs, day, rows).await?;
    }

    let (api, api_url) = stack.spawn_api(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    let mut runs: Vec<Run> = Vec::new();
    for &kind in &args.only {
        let first = runs.len();
        for (&day, &rows) in days.iter().zip(sizes) {
            let step = Step::begin(format!(
                "Export {} rows as {}",
                HumanCount(rows),
                kind.name()
            ));
            let (mut seconds, mut peaks, mut file_mib) = (Vec::new(), Vec::new(), 0.0);
            for _ in 0..args.times {
                let mut worker = stack.spawn_worker(binaries).await?;
                let started = Instant::now();
                let id = client.request(Dataset::Logs, kind, true, day).await?;
                let report = |job: &Job| step.note(format!("{} %", job.progress));
                let file = tokio::select! {
                    file = client.completed(id, report) => file?,
                    error = worker.ended() => return Err(error),
                };
                seconds.push(started.elapsed().as_secs_f64());
                peaks.push(peak_rss_mib(worker.pid())?);
                worker.stop(GRACE).await?;
                ensure!(file.rows == rows, "the file has {} rows", file.rows);
                file_mib = float(file.size_bytes) / MIB;
            }
            step.done();
            let highest_rss_mib = peaks.iter().copied().fold(0.0, f64::max);
            let (seconds, peak_rss_mib) = (median(seconds), median(peaks));
            runs.push(Run {
                format: kind.name(),
                rows,
                seconds,
                rows_per_second: float(rows) / seconds,
                file_mib,
                peak_rss_mib,
                highest_rss_mib,
                growth: peak_rss_mib / runs.get(first).map_or(peak_rss_mib, |run| run.peak_rss_mib),
            });
        }
    }
    api.stop(GRACE).await?;
    Ok(runs)
}

fn print(runs: &[Run]) {
    terminal::heading("Peak memory of export-worker");
    println!(
        "  format           rows   seconds      rows/s   file MiB   peak MiB    highest   growth"
    );
    for run in runs {
        println!(
            "  {:<8} {:>12} {:>9.1} {:>11.0} {:>10.1} {:>10.1} {:>10.1} {:>8.2}",
            run.format,
            HumanCount(run.rows).to_string(),
            run.seconds,
            run.rows_per_second,
            run.file_mib,
            run.peak_rss_mib,
            run.highest_rss_mib,
            run.growth,
        );
    }
}
