//! Runs cargo on this workspace.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::terminal::Step;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.ancestors().nth(2).unwrap_or(member)
}

/// Returns where generated files go, `target` of the workspace.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Returns cargo in the root of the workspace, the cargo that runs this program.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).kill_on_drop(true);
    command
}

/// Runs cargo with its output on the terminal.
///
/// # Errors
///
/// When cargo cannot be started.
pub(crate) async fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().await.context("cannot run cargo")
}

/// What a build compiles and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Build {
    /// The two binaries, in the profile that this program has.
    Binaries,
    /// The two binaries, optimised.
    Release,
    /// Everything that `cargo test --workspace` needs, the binaries among it.
    Workspace,
}

impl Build {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Binaries if cfg!(debug_assertions) => &["-p", "api", "-p", "worker"],
            Self::Binaries | Self::Release => &["-p", "api", "-p", "worker", "--release"],
            Self::Workspace => &["--workspace", "--all-targets"],
        }
    }
}

/// The two binaries of the product.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// `export-api`.
    pub(crate) api: PathBuf,
    /// `export-worker`.
    pub(crate) worker: PathBuf,
}

/// Builds the binaries and says where they are.
///
/// # Errors
///
/// What the compiler said, when it refuses the code.
pub(crate) async fn build(what: Build) -> Result<Binaries> {
    let step = Step::begin("Build export-api and export-worker");
    step.note("the first time takes some minutes");
    let mut child = command()
        .args([
            "build",
            "--quiet",
            "--message-format=json-render-diagnostics",
        ])
        .args(what.arguments())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let stdout = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    let mut stderr = child.stderr.take().context("cargo has no standard error")?;

    let mut diagnostics = String::new();
    let artifacts = async {
        let (mut api, mut worker) = (None, None);
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            let Ok(artifact) = serde_json::from_str::<Artifact>(&line) else {
                continue;
            };
            match (artifact.target.name.as_str(), artifact.executable) {
                // The unit tests of a binary are a target of its name, too.
                _ if artifact.profile.test => {}
                ("export-api", Some(path)) => api = Some(path),
                ("export-worker", Some(path)) => worker = Some(path),
                (name, _) => step.note(name),
            }
        }
        anyhow::Ok((api, worker))
    };
    let (artifacts, read) = tokio::join!(artifacts, stderr.read_to_string(&mut diagnostics));
    read?;
    if !child.wait().await?.success() {
        bail!("the build failed\n{diagnostics}");
    }
    let (api, worker) = artifacts?;
    step.done();
    Ok(Binaries {
        api: api.context("cargo built no export-api")?,
        worker: worker.context("cargo built no export-worker")?,
    })
}

/// A message of cargo about something it has compiled.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}
