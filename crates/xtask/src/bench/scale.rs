//! Exports with more threads, more workers and larger slices, in turns.

use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use serde::Serialize;

use crate::bench::rival::Order;
use crate::bench::usage::cpu_seconds;
use crate::bench::{fill, float, median, on_stack, save};
use crate::cargo::Binaries;
use crate::client::{Client, FileKind};
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

const DAY: Day = Day(1);

/// Rows that ClickHouse has read since it was started.
const ROWS_READ: &str = "SELECT sum(value) FROM system.events WHERE event = 'SelectedRows'";

/// The arguments of `bench scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Log rows of each export.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Which kinds of files.
    #[arg(long, value_delimiter = ',', default_value = "csv.gz,parquet")]
    only: Vec<FileKind>,
    /// In which order the rows are written.
    #[arg(long, value_delimiter = ',', default_value = "storage,time")]
    order: Vec<Order>,
    /// Encoding threads of one worker; by default 1, 2 and so on, up to the cores.
    #[arg(long, value_delimiter = ',')]
    threads: Vec<u64>,
    /// Workers with as many exports at once.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4")]
    workers: Vec<usize>,
    /// Rows of a slice.
    #[arg(long, value_delimiter = ',', default_value = "50000,250000,1000000")]
    slices: Vec<u64>,
    /// How often each of them.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// One way to export; `None` is the default.
#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    workers: usize,
    /// Encoding threads of each worker.
    threads: Option<u64>,
    slice_rows: Option<u64>,
}

impl Setting {
    const DEFAULT: Self = Self {
        workers: 1,
        threads: None,
        slice_rows: None,
    };

    /// Returns everything that is measured: one thing differs at a time.
    fn all(args: &Args) -> Result<Vec<Self>> {
        let cores = available_parallelism()?.get() as u64;
        let threads: Vec<u64> = if args.threads.is_empty() {
            (1..=cores).collect()
        } else {
            args.threads.clone()
        };
        let default = Self::DEFAULT;
        let threads = threads.iter().map(|&threads| Self {
            threads: Some(threads),
            ..default
        });
        let workers = args
            .workers
            .iter()
            .map(|&workers| Self { workers, ..default });
        let slices = args.slices.iter().map(|&rows| Self {
            slice_rows: Some(rows),
            ..default
        });
        Ok(threads.chain(workers).chain(slices).collect())
    }

    fn environment(self) -> Vec<(&'static str, String)> {
        let threads = ("EXPORT__PIPELINE__ENCODE_THREADS", self.threads);
        let slice_rows = ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", self.slice_rows);
        let set = [threads, slice_rows, ("EXPORT__WORKER__JOBS", Some(1))];
        set.into_iter()
            .filter_map(|(key, value)| Some((key, value?.to_string())))
            .collect()
    }
}

/// A setting, as often as it was measured.
#[derive(Debug, Serialize)]
struct Measured {
    kind: &'static str,
    order: &'static str,
    setting: Setting,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Run {
    wall_s: f64,
    rows_per_second: f64,
    /// Of all workers together.
    worker_cpu_s: f64,
    /// Rows that ClickHouse read for each that was exported, those of the plan left out.
    read_amplification: f64,
}

/// Measures, prints a table, and writes it to `target/bench/scale.json`.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring exports by threads, workers and slices");
    ensure!(args.rounds > 0, "there must be rounds");
    let measured = on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;
    print(&measured);
    save("scale", &measured)
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Vec<Measured>> {
    fill(stack, Dataset::Logs, DAY, args.rows).await?;
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    let settings = Setting::all(args)?;
    let mut all = Vec::new();
    for &order in &args.order {
        for &kind in &args.only {
            let step = Step::begin(format!(
                "Export as {} in the order of {}, {} ways",
                kind.name(),
                order.name(),
                settings.len()
            ));
            let first = all.len();
            all.extend(settings.iter().map(|&setting| Measured {
                kind: kind.name(),
                order: order.name(),
                setting,
                runs: Vec::new(),
            }));
            for round in 1..=args.rounds {
                step.note(format!("{round} of {}", args.rounds));
                for one in &mut all[first..] {
                    let export = Export {
                        kind,
                        order,
                        rows: args.rows,
                    };
                    one.runs
                        .push(export.run(stack, binaries, &client, one.setting).await?);
                }
            }
            step.done();
        }
    }
    api.stop(GRACE).await?;
    Ok(all)
}

/// What is exported.
#[derive(Clone, Copy, Debug)]
struct Export {
    kind: FileKind,
    order: Order,
    rows: u64,
}

impl Export {
    /// Exports once in each of the workers, all at the same time.
    async fn run(
        self,
        stack: &Stack,
        binaries: &Binaries,
        client: &Client,
        setting: Setting,
    ) -> Result<Run> {
        let environment = setting.environment();
        let environment: Vec<_> = environment
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let workers = (0..setting.workers).map(|_| stack.spawn_worker_with(binaries, &environment));
        let workers = try_join_all(workers).await?;
        let clickhouse = stack.clickhouse();
        let read_before = clickhouse.number(ROWS_READ, &[]).await?;
        let cpu = || -> Result<f64> {
            let seconds = workers.iter().map(|worker| cpu_seconds(worker.pid()));
            seconds.sum()
        };
        let cpu_before = cpu()?;
        let started = Instant::now();
        let exports = (0..setting.workers).map(|_| self.export(client));
        try_join_all(exports).await?;
        let wall_s = started.elapsed().as_secs_f64();
        let worker_cpu_s = cpu()? - cpu_before;
        let read = clickhouse.number(ROWS_READ, &[]).await? - read_before;
        for worker in workers {
            worker.stop(GRACE).await?;
        }
        let rows = float(self.rows * setting.workers as u64);
        Ok(Run {
            wall_s,
            rows_per_second: rows / wall_s,
            worker_cpu_s,
            read_amplification: float(read) / rows - 1.0,
        })
    }

    async fn export(self, client: &Client) -> Result<()> {
        let id = client
            .request(Dataset::Logs, self.kind, self.order == Order::Time, DAY)
            .await?;
        let file = client.completed(id, |_| ()).await?;
        ensure!(file.rows == self.rows, "the file has {} rows", file.rows);
        Ok(())
    }
}

fn print(measured: &[Measured]) {
    terminal::heading("Exports by threads, workers and slices (medians)");
    println!(
        "  file     order    workers  threads  slice rows    wall s     rows/s  worker cpu s  rows read"
    );
    for one in measured {
        let of = |get: fn(&Run) -> f64| median(one.runs.iter().map(get).collect());
        let or_default =
            |number: Option<u64>| number.map_or("default".to_owned(), |n| n.to_string());
        println!(
            "  {:<8} {:<8} {:>7} {:>8} {:>11} {:>9.2} {:>10.0} {:>13.2} {:>10.2}",
            one.kind,
            one.order,
            one.setting.workers,
            or_default(one.setting.threads),
            or_default(one.setting.slice_rows),
            of(|run| run.wall_s),
            of(|run| run.rows_per_second),
            of(|run| run.worker_cpu_s),
            of(|run| run.read_amplification),
        );
    }
}
