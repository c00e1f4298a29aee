//! How much memory exports take: of growing size, of large rows, and of rows of the same moment.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use indicatif::HumanCount;
use serde::Serialize;

use crate::bench::usage::peak_rss_mib;
use crate::bench::{MIB, fill, float, median, on_stack, save};
use crate::cargo::Binaries;
use crate::client::{Client, FileKind, Job};
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

/// The largest peak that the default configuration may have: 300 MB.
const LIMIT_MIB: f64 = 286.0;

/// How much more memory than the first size the others may take.
const LIMIT_GROWTH: f64 = 1.1;

/// Rows whose bodies are large, and the bytes of one.
const WIDE: (u64, u64) = (20_000, 65_536);

/// Rows of the same moment, and the bytes of their bodies: together more than is sorted here, and less.
const BURSTS: [(u64, u64); 2] = [(200_000, 1_024), (200_000, 128)];

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
    /// Which rows: the usual ones, large ones, those of one moment.
    #[arg(long, value_delimiter = ',', default_value = "usual,wide,burst")]
    shapes: Vec<Shape>,
    /// How often each export is made, by a worker of its own.
    #[arg(long, default_value_t = 3)]
    times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// The samples.
    Usual,
    /// Bodies of 64 KiB, in every format and order.
    Wide,
    /// 200,000 rows of the same moment.
    Burst,
}

/// What is exported.
struct Case {
    rows_of: String,
    kind: FileKind,
    by_time: bool,
    day: Day,
    rows: u64,
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
            "{} of {} takes up to {:.0} MiB, and mostly {:.2} times the first; allowed are {LIMIT_MIB} MiB and {LIMIT_GROWTH}",
            run.format,
            run.rows_of,
            run.highest_rss_mib,
            run.growth,
        );
    }
    Ok(())
}

/// Exports of one case, by their medians.
#[derive(Debug, Serialize)]
struct Run {
    format: &'static str,
    rows_of: String,
    rows: u64,
    seconds: f64,
    rows_per_second: f64,
    file_mib: f64,
    peak_rss_mib: f64,
    /// The highest of all.
    highest_rss_mib: f64,
    /// Of the usual rows, the peak in proportion to that of the first size.
    growth: f64,
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Vec<Run>> {
    ensure!(
        args.rows.len() <= 20 && args.times > 0,
        "at most 20 sizes can be measured, each at least once"
    );
    let mut cases = Vec::new();
    for shape in &args.shapes {
        cases.extend(match shape {
            Shape::Usual => usual(stack, args).await?,
            Shape::Wide => wide(stack).await?,
            Shape::Burst => bursts(stack, args).await?,
        });
    }
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    let mut runs = Vec::new();
    let mut first: Option<(FileKind, f64)> = None;
    for case in cases {
        let mut run = export(stack, binaries, &client, &case, args.times).await?;
        if args.shapes.contains(&Shape::Usual) && case.rows_of == usual_name(case.rows) {
            let smallest = first.filter(|(kind, _)| *kind == case.kind);
            let (_, peak) = *first.insert(smallest.unwrap_or((case.kind, run.peak_rss_mib)));
            run.growth = run.peak_rss_mib / peak;
        }
        runs.push(run);
    }
    api.stop(GRACE).await?;
    Ok(runs)
}

fn usual_name(rows: u64) -> String {
    format!("{} rows", HumanCount(rows))
}

async fn usual(stack: &Stack, args: &Args) -> Result<Vec<Case>> {
    let sizes: Vec<_> = (1..).map(Day).zip(args.rows.iter().copied()).collect();
    for &(day, rows) in &sizes {
        fill(stack, Dataset::Logs, day, rows).await?;
    }
    let kinds = args.only.iter();
    let cases = kinds.flat_map(|&kind| {
        sizes.iter().map(move |&(day, rows)| Case {
            rows_of: usual_name(rows),
            kind,
            by_time: true,
            day,
            rows,
        })
    });
    Ok(cases.collect())
}

async fn wide(stack: &Stack) -> Result<Vec<Case>> {
    let (rows, body_bytes) = WIDE;
    let day = Day(21);
    // A row every four seconds.
    fill_with_bodies(stack, day, rows, body_bytes, 4_000_000_000).await?;
    let mut cases = Vec::new();
    for kind in [FileKind::CsvGz, FileKind::JsonGz, FileKind::Parquet] {
        for by_time in [true, false] {
            let order = if by_time { "time" } else { "storage" };
            cases.push(Case {
                rows_of: format!("bodies of 64 KiB by {order}"),
                kind,
                by_time,
                day,
                rows,
            });
        }
    }
    Ok(cases)
}

async fn bursts(stack: &Stack, args: &Args) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (day, (rows, body_bytes)) in (22..).map(Day).zip(BURSTS) {
        fill_with_bodies(stack, day, rows, body_bytes, 0).await?;
        cases.extend(args.only.iter().map(|&kind| Case {
            rows_of: format!("one moment, bodies of {body_bytes} B"),
            kind,
            by_time: true,
            day,
            rows,
        }));
    }
    Ok(cases)
}

/// Fills in logs that differ in their bodies, each of them so long and so long after the one before.
async fn fill_with_bodies(
    stack: &Stack,
    day: Day,
    rows: u64,
    body_bytes: u64,
    apart_ns: u64,
) -> Result<()> {
    let step = Step::begin(format!(
        "Fill in {} logs of {body_bytes} bytes",
        HumanCount(rows)
    ));
    let insert = "INSERT INTO otel_logs (Timestamp, ServiceName, Body, ResourceAttributes)
        SELECT addNanoseconds({start:DateTime64(9, 'UTC')}, number * {apart:UInt64}), 'oven',
               substring(repeat(hex(sipHash128(number)), intDiv({bytes:UInt64}, 32) + 1), 1, {bytes:UInt64}),
               map('telemetryflow.organization.id', {organization:String})
        FROM numbers({rows:UInt64}) SETTINGS max_block_size = 1000";
    let parameters = [
        ("start", &*day.start_sql()),
        ("apart", &*apart_ns.to_string()),
        ("bytes", &*body_bytes.to_string()),
        ("organization", &*BAKERY.organization.to_string()),
        ("rows", &*rows.to_string()),
    ];
    let clickhouse = stack.clickhouse();
    clickhouse.query(insert, &parameters).await?;
    clickhouse
        .query("OPTIMIZE TABLE otel_logs FINAL", &[])
        .await?;
    step.done();
    Ok(())
}

async fn export(
    stack: &Stack,
    binaries: &Binaries,
    client: &Client,
    case: &Case,
    times: usize,
) -> Result<Run> {
    let Case { kind, rows, .. } = *case;
    let step = Step::begin(format!("Export {} as {}", case.rows_of, kind.name()));
    let (mut seconds, mut peaks, mut file_mib) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..times {
        let mut worker = stack.spawn_worker(binaries).await?;
        let started = Instant::now();
        let id = client
            .request(Dataset::Logs, kind, case.by_time, case.day)
            .await?;
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
    Ok(Run {
        format: kind.name(),
        rows_of: case.rows_of.clone(),
        rows,
        seconds,
        rows_per_second: float(rows) / seconds,
        file_mib,
        peak_rss_mib,
        highest_rss_mib,
        growth: 1.0,
    })
}

fn print(runs: &[Run]) {
    terminal::heading("Peak memory of export-worker");
    println!(
        "  format   rows of                          seconds      rows/s   file MiB   peak MiB    highest   growth"
    );
    for run in runs {
        println!(
            "  {:<8} {:<30} {:>9.1} {:>11.0} {:>10.1} {:>10.1} {:>10.1} {:>8.2}",
            run.format,
            run.rows_of,
            run.seconds,
            run.rows_per_second,
            run.file_mib,
            run.peak_rss_mib,
            run.highest_rss_mib,
            run.growth,
        );
    }
}
