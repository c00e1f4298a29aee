//! Exports against ClickHouse's own, in turns.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use devstack::Service;
use indicatif::HumanCount;
use serde::Serialize;

use crate::bench::rival::{self, Order};
use crate::bench::usage::{cpu_seconds, forget_peak_rss, peak_rss_mib};
use crate::bench::{MIB, fill, float, median, on_stack, save};
use crate::cargo::Binaries;
use crate::client::{Client, FileKind};
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

/// The arguments of `bench export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rows of each export.
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000,4000000")]
    rows: Vec<u64>,
    /// Which telemetry.
    #[arg(long, value_delimiter = ',', default_value = "logs,traces,metrics")]
    datasets: Vec<Dataset>,
    /// Which kinds of files.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "csv.gz,json.gz,parquet,csv"
    )]
    only: Vec<FileKind>,
    /// In which order both write the rows.
    #[arg(long, value_delimiter = ',', default_value = "storage,time")]
    order: Vec<Order>,
    /// How often each of the two exports.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

/// What one export took.
#[derive(Clone, Copy, Debug, Serialize)]
struct Cost {
    wall_s: f64,
    /// Of the engine, the S3 server and, for ours, the worker and the API.
    cpu_s: f64,
    engine_cpu_s: f64,
    engine_peak_rss_mib: f64,
    worker_peak_rss_mib: f64,
    size_bytes: u64,
}

/// Both exports of the same rows to the same kind of file, as often as they were made.
#[derive(Debug, Serialize)]
struct Comparison {
    dataset: &'static str,
    order: &'static str,
    kind: &'static str,
    rows: u64,
    ours: Vec<Cost>,
    theirs: Vec<Cost>,
    /// Medians of ours in proportion to theirs, pair by pair.
    wall_ratio: f64,
    cpu_ratio: f64,
    size_ratio: f64,
}

/// Measures, prints a table, and writes it to `target/bench/export.json`.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring exports against ClickHouse's own");
    ensure!(
        args.rows.len() <= 30 && args.pairs > 0,
        "at most 30 sizes can be measured, each in one pair at least"
    );
    let comparisons =
        on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;
    print(&comparisons);
    save("export", &comparisons)
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Vec<Comparison>> {
    let sizes: Vec<_> = (1..).map(Day).zip(args.rows.iter().copied()).collect();
    for &dataset in &args.datasets {
        for &(day, rows) in &sizes {
            fill(stack, dataset, day, rows).await?;
        }
    }
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let worker = stack.spawn_worker(binaries).await?;
    let ours = Ours {
        stack,
        client: stack.client(&api_url, BAKERY)?,
        api: &api,
        worker: &worker,
    };
    let mut comparisons = Vec::new();
    for &dataset in &args.datasets {
        for &order in &args.order {
            for &kind in &args.only {
                for &(day, rows) in &sizes {
                    let export = Export {
                        dataset,
                        order,
                        kind,
                        day,
                        rows,
                    };
                    comparisons.push(ours.compare(export, args.pairs).await?);
                }
            }
        }
    }
    worker.stop(GRACE).await?;
    api.stop(GRACE).await?;
    Ok(comparisons)
}

/// What is exported.
#[derive(Clone, Copy, Debug)]
struct Export {
    dataset: Dataset,
    order: Order,
    kind: FileKind,
    day: Day,
    rows: u64,
}

/// The service that is measured.
struct Ours<'a> {
    stack: &'a Stack,
    client: Client,
    api: &'a Service,
    worker: &'a Service,
}

impl Ours<'_> {
    async fn compare(&self, export: Export, pairs: usize) -> Result<Comparison> {
        let Export {
            dataset,
            order,
            kind,
            day,
            rows,
        } = export;
        let step = Step::begin(format!(
            "Export {} rows of {} as {} in the order of {}",
            HumanCount(rows),
            dataset.name(),
            kind.name(),
            order.name()
        ));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for pair in 0..=pairs {
            step.note(format!("{pair} of {pairs}"));
            let theirs_now = self
                .cost(
                    rival::export(self.stack, dataset, kind, order, day),
                    async |()| rival::size(self.stack, kind).await,
                )
                .await?;
            let ours_now = self
                .cost(self.export(export), async |size_bytes| Ok(size_bytes))
                .await?;
            // The first pair warms caches.
            if pair > 0 {
                theirs.push(theirs_now);
                ours.push(ours_now);
            }
        }
        step.done();
        let ratio = |of: fn(&Cost) -> f64| {
            let pairs = ours.iter().zip(&theirs);
            median(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect())
        };
        Ok(Comparison {
            dataset: dataset.name(),
            order: order.name(),
            kind: kind.name(),
            rows,
            wall_ratio: ratio(|cost| cost.wall_s),
            cpu_ratio: ratio(|cost| cost.cpu_s),
            size_ratio: ratio(|cost| float(cost.size_bytes)),
            ours,
            theirs,
        })
    }

    async fn export(&self, export: Export) -> Result<u64> {
        let Export {
            dataset, kind, day, ..
        } = export;
        let id = self
            .client
            .request(dataset, kind, export.order == Order::Time, day)
            .await?;
        let file = self.client.completed(id, |_| ()).await?;
        ensure!(
            file.rows == export.rows,
            "the file has {} rows instead of {}",
            file.rows,
            export.rows
        );
        Ok(file.size_bytes)
    }

    /// Measures an export, and asks for the size of its file behind it.
    async fn cost<T>(
        &self,
        export: impl Future<Output = Result<T>>,
        size: impl AsyncFnOnce(T) -> Result<u64>,
    ) -> Result<Cost> {
        let engine = self.stack.clickhouse_pid().context("no ClickHouse runs")?;
        // The S3 server is part of this process, which does nothing else meanwhile.
        let others = [std::process::id(), self.worker.pid(), self.api.pid()];
        let cpu = || -> Result<(f64, f64)> {
            let mut sum = 0.0;
            for pid in others {
                sum += cpu_seconds(pid)?;
            }
            Ok((cpu_seconds(engine)?, sum))
        };
        forget_peak_rss(engine)?;
        forget_peak_rss(self.worker.pid())?;
        let (engine_before, others_before) = cpu()?;
        let started = Instant::now();
        let exported = export.await?;
        let wall_s = started.elapsed().as_secs_f64();
        let (engine_after, others_after) = cpu()?;
        let engine_cpu_s = engine_after - engine_before;
        Ok(Cost {
            wall_s,
            cpu_s: engine_cpu_s + others_after - others_before,
            engine_cpu_s,
            engine_peak_rss_mib: peak_rss_mib(engine)?,
            worker_peak_rss_mib: peak_rss_mib(self.worker.pid())?,
            size_bytes: size(exported).await?,
        })
    }
}

fn print(comparisons: &[Comparison]) {
    terminal::heading("Ours in proportion to ClickHouse's own (medians of pairs)");
    println!(
        "  dataset  order    file           rows   wall s  theirs  ratio    cpu s  theirs  ratio  engine     MiB  ratio  peak MiB: worker  engine  theirs"
    );
    for one in comparisons {
        let of = |costs: &[Cost], get: fn(&Cost) -> f64| median(costs.iter().map(get).collect());
        println!(
            "  {:<8} {:<8} {:<8} {:>10} {:>8.2} {:>7.2} {:>6.2} {:>8.2} {:>7.2} {:>6.2} {:>7.2} {:>7.1} {:>6.2} {:>17.0} {:>7.0} {:>7.0}",
            one.dataset,
            one.order,
            one.kind,
            HumanCount(one.rows).to_string(),
            of(&one.ours, |cost| cost.wall_s),
            of(&one.theirs, |cost| cost.wall_s),
            one.wall_ratio,
            of(&one.ours, |cost| cost.cpu_s),
            of(&one.theirs, |cost| cost.cpu_s),
            one.cpu_ratio,
            of(&one.ours, |cost| cost.engine_cpu_s),
            of(&one.ours, |cost| float(cost.size_bytes)) / MIB,
            one.size_ratio,
            of(&one.ours, |cost| cost.worker_peak_rss_mib),
            of(&one.ours, |cost| cost.engine_peak_rss_mib),
            of(&one.theirs, |cost| cost.engine_peak_rss_mib),
        );
    }
}
