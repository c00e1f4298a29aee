//! Measures the release build. Two things are only ever compared by runs that alternate.

mod export;
mod latency;
mod memory;
mod rival;
mod usage;

use std::fs;

use anyhow::Result;
use serde::Serialize;

use crate::cargo::{self, Binaries, Build};
use crate::interrupt::or_interrupted;
use crate::preset::Preset;
use crate::stack::{self, Stack};
use crate::terminal;

const MIB: f64 = 1_048_576.0;

/// What can be measured.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// An export, from its request to COMPLETED, against ClickHouse's own `INSERT INTO FUNCTION s3`.
    ///
    /// Both write the same rows as the same kind of file to the same S3 server, in turns. The table
    /// is also in target/bench/export.json.
    Export(export::Args),

    /// Small exports, from POST to COMPLETED: one at a time, and many that wait for a worker.
    ///
    /// The table is also in target/bench/latency.json.
    Latency(latency::Args),

    /// The peak memory of a worker for exports of several sizes, which must not grow with them.
    ///
    /// Each export gets a worker of its own. The table is also in target/bench/memory.json.
    Memory(memory::Args),
}

/// Measures what was asked for.
pub(crate) async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Export(args) => export::run(args).await,
        Command::Latency(args) => latency::run(args).await,
        Command::Memory(args) => memory::run(args).await,
    }
}

/// Starts the services and lets `measure` have them with the release build.
async fn on_stack<T>(measure: impl AsyncFnOnce(&Stack, &Binaries) -> Result<T>) -> Result<T> {
    let started = or_interrupted(async {
        stack::install().await?;
        let binaries = cargo::build(Build::Release).await?;
        Ok((Stack::start("bench", Preset::Otel).await?, binaries))
    });
    let (stack, binaries) = started.await?;
    let outcome = or_interrupted(measure(&stack, &binaries)).await;
    let stopped = terminal::stop(stack.stop()).await;
    let measured = outcome?;
    stopped?;
    Ok(measured)
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
