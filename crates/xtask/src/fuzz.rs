//! Runs the fuzz targets of the crates for a while, by cargo-fuzz.
//!
//! Without a sanitizer, which takes the nightly toolchain and finds nothing where there is no `unsafe`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::cargo;
use crate::interrupt::or_interrupted;
use crate::terminal;

const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// The arguments of `fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each target is fed.
    #[arg(long, default_value_t = Self::default().seconds)]
    seconds: u64,
}

impl Default for Args {
    fn default() -> Self {
        Self { seconds: 20 }
    }
}

/// Runs every target, and stops at the first that fails.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Fuzzing");
    let cargo_fuzz = or_interrupted(install()).await?;
    for target in targets()? {
        let title = format!("{} for {} s", target.name, args.seconds);
        let run = terminal::step(&title, target.run(&cargo_fuzz, args.seconds));
        or_interrupted(run).await?;
    }
    Ok(())
}

/// A fuzz target of a crate.
#[derive(Debug)]
struct Target {
    name: String,
    /// The directory `fuzz` of the crate.
    dir: PathBuf,
}

impl Target {
    async fn run(&self, cargo_fuzz: &Path, seconds: u64) -> Result<()> {
        let corpus = self.dir.join("corpus").join(&self.name);
        fs::create_dir_all(&corpus)?;
        // The first directory is added to.
        let seeds = Some(self.dir.join("seeds").join(&self.name)).filter(|seeds| seeds.is_dir());
        let output = Command::new(cargo_fuzz)
            .args(["fuzz", "run", "--sanitizer=none", "--fuzz-dir"])
            .arg(&self.dir)
            // The crates have most of their dependencies in common.
            .arg("--target-dir")
            .arg(cargo::target().join("fuzz"))
            .arg(&self.name)
            .arg(corpus)
            .args(seeds)
            .args(["--", "-timeout=10", &format!("-max_total_time={seconds}")])
            .current_dir(cargo::root())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run cargo-fuzz")?;
        ensure!(
            output.status.success(),
            "{} fails\n{}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// Lists the targets of all crates.
fn targets() -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for member in fs::read_dir(cargo::root().join("crates"))? {
        let dir = member?.path().join("fuzz");
        let sources = dir.join("fuzz_targets");
        if !sources.is_dir() {
            continue;
        }
        for source in fs::read_dir(sources)? {
            let source = source?.path();
            let name = source.file_stem().unwrap_or_default().to_string_lossy();
            targets.push(Target {
                name: name.into_owned(),
                dir: dir.clone(),
            });
        }
    }
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    ensure!(!targets.is_empty(), "there are no fuzz targets");
    Ok(targets)
}

/// Installs cargo-fuzz below `target` where it is missing, and returns the program.
async fn install() -> Result<PathBuf> {
    let root = cargo::target().join("devstack/cargo");
    let program = root.join("bin/cargo-fuzz");
    let says = Command::new(&program)
        .args(["fuzz", "--version"])
        .output()
        .await;
    if says.is_ok_and(|says| String::from_utf8_lossy(&says.stdout).contains(CARGO_FUZZ_VERSION)) {
        return Ok(program);
    }
    let mut command = cargo::command();
    command
        .args(["install", "--quiet", "--locked", "cargo-fuzz"])
        .args(["--version", CARGO_FUZZ_VERSION, "--root"])
        .arg(root);
    let title = format!("Install cargo-fuzz {CARGO_FUZZ_VERSION} into target/devstack/cargo");
    terminal::step(&title, async {
        let status = cargo::status(&mut command).await?;
        ensure!(status.success(), "cargo-fuzz cannot be installed");
        Ok(program)
    })
    .await
}
