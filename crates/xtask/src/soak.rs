//! Exports under fire, with faults of all kinds at random.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{self, Build};
use crate::interrupt::or_interrupted;
use crate::stack;

/// The arguments of `soak`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long exports are asked for and faults strike.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The schedule of faults and the requests are made from it: the same seed gives the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the program of the package `e2e`, and returns its status.
pub(crate) async fn run(args: &Args) -> Result<ExitCode> {
    or_interrupted(stack::install()).await?;
    let binaries = or_interrupted(cargo::build(Build::Binaries)).await?;
    let mut command = cargo::command();
    command
        .args(["run", "--quiet", "-p", "e2e", "--bin", "soak", "--"])
        .arg(format!("--minutes={}", args.minutes))
        .arg(format!("--seed={}", args.seed))
        .arg("--directory")
        .arg(stack::directory("soak"))
        .env("EXPORT_API_BIN", &binaries.api)
        .env("EXPORT_WORKER_BIN", &binaries.worker);
    let status = or_interrupted(cargo::status(&mut command)).await?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
