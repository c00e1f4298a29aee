//! The developers' commands: `cargo xtask --help`.

#![expect(
    clippy::large_futures,
    reason = "one command runs per process; what its future weighs does not matter"
)]

mod bench;
mod cargo;
mod check_api;
mod check_deps;
mod ci;
mod clickhouse;
mod client;
mod demo;
mod fuzz;
mod interrupt;
mod layout;
mod prepare;
mod preset;
mod soak;
mod stack;
mod tenants;
mod terminal;
mod test;
mod token;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::interrupt::Interrupted;

/// The developers' commands of the data export service.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the service at work on this machine: an export per format, checked, and the e-mails.
    ///
    /// Installs what is missing, starts PostgreSQL, Redis, ClickHouse (chDB), S3 and an SMTP
    /// server without Docker, fills in telemetry of two organizations, exports logs as CSV, traces
    /// as JSON and metrics as Parquet, downloads the files and checks them against ClickHouse.
    /// Stays up until Ctrl-C, and removes everything again.
    Demo(demo::Args),

    /// Starts the whole stack and both binaries, and stays up until Ctrl-C.
    ///
    /// Every endpoint and credential is in target/devstack/env.json meanwhile.
    Up(up::Args),

    /// Prints a token for the API that `demo` or `up` has started.
    Token(token::Args),

    /// Runs every test, against a stack of its own.
    ///
    /// Arguments after `--` go to `cargo test`; with `-p` among them only those packages are tested.
    Test(test::Args),

    /// Exports under fire: three workers and a client that keeps asking, while whatever can fail does.
    ///
    /// In the end everything that must hold is checked from outside: jobs, files, bucket, e-mails.
    /// Prints what struck, how much was resumed and read again, and what does not hold.
    Soak(soak::Args),

    /// Checks everything that must hold before a change is merged.
    ///
    /// Formatting, crate boundaries, prepared queries, lints, documentation, tests, the API against its own
    /// description and fuzzing for a moment, in this order.
    Ci,

    /// Checks that the API does what its OpenAPI document says, whatever it is sent.
    ///
    /// Schemathesis makes requests of the document, good and bad ones, and fails at any answer that is an
    /// error of the server or not as it is described. Prints how to repeat what fails.
    CheckApi(check_api::Args),

    /// Feeds the fuzz targets of the crates with whatever makes them do something new.
    ///
    /// What makes one fail is kept, and printed with how to repeat it.
    Fuzz(fuzz::Args),

    /// Checks that the crates depend on each other in the directions of the architecture.
    CheckDeps,

    /// Prepares the SQL queries of the crate `store`, so that it builds without a database.
    ///
    /// Run it after every change of a query or a migration, and commit the directory .sqlx.
    Sqlx(prepare::Args),

    /// Measures the release build.
    #[command(subcommand)]
    Bench(bench::Command),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only when a provider is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args).await?,
        Command::Up(args) => up::run(args).await?,
        Command::Token(args) => token::run(&args)?,
        Command::Test(args) => return test::run(&args).await,
        Command::Soak(args) => return soak::run(&args).await,
        Command::Ci => return ci::run().await,
        Command::CheckApi(args) => check_api::run(&args).await?,
        Command::Fuzz(args) => fuzz::run(&args).await?,
        Command::CheckDeps => check_deps::run().await?,
        Command::Sqlx(args) => prepare::run(&args).await?,
        Command::Bench(command) => bench::run(&command).await?,
    }
    Ok(ExitCode::SUCCESS)
}
