//! Measures the release build. Two things are only ever compared by runs that alternate.

mod api;
mod export;
mod latency;
mod listeners;
mod memory;
mod rival;
mod scale;
mod shell;
mod usage;
mod wrk;

use std::fs;

use anyhow::{Result, ensure};
use indicatif::HumanCount;
use serde::Serialize;

use crate::cargo::{self, Binaries, Build};
use crate::interrupt::or_interrupted;
use crate::layout::Layout;
use crate::preset::{Dataset, Day};
use crate::stack::{self, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

const MIB: f64 = 1_048_576.0;

/// What can be measured.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// An export, from its request to COMPLETED, against ClickHouse's own `INSERT INTO FUNCTION s3`.
    ///
    /// Both write the same rows as the same kind of file to the same S3 server, in turns. The table
    /// is also in target/bench/export.json.
    Export(export::Args),

    /// The decoder and the encoders alone, on one thread and on two, beside those of the Arrow crates.
    Encode,

    /// POST and GET per second on many connections, asked by wrk, against pgbench doing the same INSERT and
    /// SELECT.
    ///
    /// The table is also in target/bench/api.json.
    Api(api::Args),

    /// Small exports, from POST to COMPLETED: one at a time, and many that wait for a worker.
    ///
    /// The table is also in target/bench/latency.json.
    Latency(latency::Args),

    /// The API with a thousand clients that listen to exports, and a steady stream of requests.
    ///
    /// It is also in target/bench/listeners.json.
    Listeners(listeners::Args),

    /// An export as csv.gz, against `curl … | pigz` and an upload.
    ///
    /// It is also in target/bench/shell.json.
    Shell(shell::Args),

    /// The peak memory of a worker for exports of several sizes, which must not grow with them.
    ///
    /// Each export gets a worker of its own. The table is also in target/bench/memory.json.
    Memory(memory::Args),

    /// Exports with more threads, with more workers, and with larger slices.
    ///
    /// The table is also in target/bench/scale.json.
    Scale(scale::Args),
}

/// Measures what was asked for.
pub(crate) async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Encode => encode().await,
        Command::Export(args) => export::run(args).await,
        Command::Api(args) => api::run(args).await,
        Command::Latency(args) => latency::run(args).await,
        Command::Listeners(args) => listeners::run(args).await,
        Command::Shell(args) => shell::run(args).await,
        Command::Memory(args) => memory::run(args).await,
        Command::Scale(args) => scale::run(args).await,
    }
}

/// Runs the benchmarks of the crates, which need no services.
async fn encode() -> Result<()> {
    let mut command = cargo::command();
    command.args(["bench", "-p", "native", "-p", "deflate", "-p", "encode"]);
    command.args(["--bench", "decode", "--bench", "gzip", "--bench", "encode"]);
    let status = or_interrupted(cargo::status(&mut command)).await?;
    ensure!(status.success(), "the benchmarks end with {status}");
    Ok(())
}

/// Starts the services and lets `measure` have them with the release build.
async fn on_stack<T>(measure: impl AsyncFnOnce(&Stack, &Binaries) -> Result<T>) -> Result<T> {
    let started = or_interrupted(async {
        stack::install().await?;
        let binaries = cargo::build(Build::Release).await?;
        let stack = Stack::start("bench", Layout::OTEL, &binaries).await?;
        Ok((stack, binaries))
    });
    let (stack, binaries) = started.await?;
    let outcome = or_interrupted(measure(&stack, &binaries)).await;
    let stopped = terminal::stop(stack.stop()).await;
    let measured = outcome?;
    stopped?;
    Ok(measured)
}

/// Fills in telemetry of one organization on one day, merged into one part a table as time does it: merges in
/// the background would be in the way of whoever is measured first.
async fn fill(stack: &Stack, dataset: Dataset, day: Day, rows: u64) -> Result<()> {
    let step = Step::begin(format!(
        "Fill in {} rows of {}",
        HumanCount(rows),
        dataset.name()
    ));
    let (clickhouse, preset) = (stack.clickhouse(), stack.preset());
    preset
        .seed(&clickhouse, Some(dataset), BAKERY.organization, day, rows)
        .await?;
    for (table, _) in preset.tables(dataset) {
        let merge = format!("OPTIMIZE TABLE {table} FINAL");
        clickhouse.query(&merge, &[]).await?;
    }
    step.done();
    Ok(())
}

/// Writes what was measured to `target/bench`.
fn save(name: &str, measured: &impl Serialize) -> Result<()> {
    let dir = cargo::target().join("bench");
    fs::create_dir_all(&dir)?;
    let json = serde_json::to_vec_pretty(measured)?;
    Ok(fs::write(dir.join(name).with_extension("json"), json)?)
}

#[expect(clippy::cast_precision_loss, reason = "only shown to people")]
fn float(number: u64) -> f64 {
    number as f64
}

/// Returns what so many of a hundred values, which are sorted, do not exceed.
fn percentile<T: Copy>(sorted: &[T], share: usize) -> T {
    sorted[(sorted.len() - 1) * share / 100]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        Some(&upper) if values.len() % 2 == 1 => upper,
        Some(&upper) => f64::midpoint(values[middle - 1], upper),
        None => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
