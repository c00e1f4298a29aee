//! Runs every test against a stack of its own.

use std::process::ExitCode;

use anyhow::Result;
use devstack::Devstack;

use crate::cargo::{self, Build};
use crate::interrupt::or_interrupted;
use crate::{stack, terminal};

/// The arguments of `test`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Arguments of `cargo test`.
    #[arg(last = true, value_name = "CARGO TEST ARGUMENTS")]
    arguments: Vec<String>,
}

/// Runs `cargo test` and returns its status.
pub(crate) async fn run(args: &Args) -> Result<ExitCode> {
    or_interrupted(stack::install()).await?;
    let devstack = or_interrupted(stack::start_services("test")).await?;
    let outcome = or_interrupted(cargo_test(args, &devstack)).await;
    let stopped = terminal::stop(devstack.stop()).await;
    let code = outcome?;
    stopped.map(|()| code)
}

async fn cargo_test(args: &Args, devstack: &Devstack) -> Result<ExitCode> {
    let is_package =
        |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
    let everything = !args.arguments.iter().any(is_package);
    let binaries = cargo::build(if everything {
        Build::Workspace
    } else {
        Build::Binaries
    })
    .await?;
    let env = stack::directory("test").join("env.json");
    devstack.env().save(&env)?;

    let mut command = cargo::command();
    command
        .args(["test", "--no-fail-fast"])
        .args(everything.then_some("--workspace"))
        .args(&args.arguments)
        .env("DEVSTACK_ENV", env)
        .env("EXPORT_API_BIN", &binaries.api)
        .env("EXPORT_WORKER_BIN", &binaries.worker);
    let status = cargo::status(&mut command).await?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
