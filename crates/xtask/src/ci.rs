//! Everything that must hold before a change is merged, cheapest first.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::interrupt::or_interrupted;
use crate::{cargo, check_api, check_deps, fuzz, prepare, terminal, test};

/// Runs every check and stops at the first that fails.
pub(crate) async fn run() -> Result<ExitCode> {
    let started = Instant::now();
    check("fmt", "fmt --all --check").await?;
    terminal::heading("check-deps");
    check_deps::run().await?;
    terminal::heading("sqlx");
    prepare::run(&prepare::Args { check: true }).await?;
    check("clippy", "clippy --workspace --all-targets -- -D warnings").await?;
    check("doc", "doc --workspace --no-deps").await?;
    terminal::heading("test");
    let code = test::run(&test::Args::default()).await?;
    let well = code == ExitCode::SUCCESS;
    if well {
        check_api::run(&check_api::Args::default()).await?;
        fuzz::run(&fuzz::Args::default()).await?;
    }

    println!();
    terminal::line(well, "All checks", started.elapsed());
    Ok(code)
}

async fn check(title: &str, arguments: &str) -> Result<()> {
    terminal::heading(title);
    let started = Instant::now();
    let mut command = cargo::command();
    command
        .args(arguments.split(' '))
        .env("RUSTDOCFLAGS", "-D warnings");
    let status = or_interrupted(cargo::status(&mut command)).await?;
    let title = format!("cargo {arguments}");
    terminal::line(status.success(), &title, started.elapsed());
    if !status.success() {
        bail!("{title} found something to do");
    }
    Ok(())
}
