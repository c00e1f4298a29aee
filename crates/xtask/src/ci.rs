//! Everything that must hold before a change is merged, cheapest first.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::interrupt::or_interrupted;
use crate::{cargo, check_deps, prepare, terminal, test};

/// Runs every check and stops at the first that fails.
pub(crate) async fn run() -> Result<ExitCode> {
    let started = Instant::now();
    terminal::heading("fmt");
    check(
        "cargo fmt",
        cargo::command().args(["fmt", "--all", "--check"]),
    )
    .await?;

    terminal::heading("check-deps");
    check_deps::run().await?;

    terminal::heading("sqlx");
    prepare::run(&prepare::Args { check: true }).await?;

    terminal::heading("clippy");
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    check("cargo clippy", cargo::command().args(arguments)).await?;

    terminal::heading("doc");
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    let mut doc = cargo::command();
    check(
        "cargo doc",
        doc.args(arguments).env("RUSTDOCFLAGS", "-D warnings"),
    )
    .await?;

    terminal::heading("test");
    let code = test::run(&test::Args::default()).await?;

    println!();
    terminal::line(code == ExitCode::SUCCESS, "All checks", started.elapsed());
    Ok(code)
}

async fn check(title: &str, command: &mut Command) -> Result<()> {
    let started = Instant::now();
    let status = or_interrupted(cargo::status(command)).await?;
    terminal::line(status.success(), title, started.elapsed());
    if !status.success() {
        bail!("{title} found something to do");
    }
    Ok(())
}
