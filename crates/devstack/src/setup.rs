//! Installs on a Debian or Ubuntu machine what the stack is made of, and what the worker is built with.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::programs::{Account, find, find_postgres};

/// The ClickHouse engine, whose dependencies are for data frames only, and the deflate that a server has.
const PYTHON_REQUIREMENTS: &[&str] = &["chdb-core==26.9.0", "zlib-ng==1.1.0"];
/// Where Python packages are installed, away from the machine's own.
const PYTHON_PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/devstack/python");

/// What tries an API out by its description.
const SCHEMATHESIS: &str = "schemathesis";
const SCHEMATHESIS_VERSION: &str = "4.32.5";
/// Where it is installed with all that it needs, which chDB is spared.
const SCHEMATHESIS_PACKAGES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/devstack/schemathesis"
);

/// Installs what is missing, with one line on standard output for each thing that it does.
///
/// Packages of the distribution need root or sudo. The clusters and servers that some of them
/// start by themselves stay as they are: the stack has its own, on other ports.
///
/// # Errors
///
/// When something cannot be installed, or does not work afterwards.
pub async fn install() -> Result<()> {
    let has_pip = async || python(&["-m", "pip", "--version"]).await.is_ok();
    let required = PYTHON_REQUIREMENTS.join(" ");
    let has_python_packages = installed_python_packages()
        .await
        .is_ok_and(|installed| installed == required);

    let mut packages = Vec::new();
    if ["initdb", "postgres", "pg_ctl"]
        .into_iter()
        .any(|name| find_postgres(name).is_err())
    {
        packages.push("postgresql");
    }
    if find("redis-server").is_err() {
        packages.push("redis-server");
    }
    if find("python3").is_err() {
        packages.push("python3");
    }
    if !has_python_packages && !has_pip().await {
        packages.push("python3-pip");
    }
    if find("make").is_err() {
        // The worker's allocator is built with it.
        packages.push("make");
    }
    if find("faketime").is_err() {
        // For tests of what wrong clocks do.
        packages.push("faketime");
    }
    if !packages.is_empty() {
        apt_install(&packages).await?;
    }
    if !has_python_packages {
        println!("installing {required} with pip into target/devstack/python");
        let into = ["--no-deps", "--target", PYTHON_PACKAGES];
        pip_install(&[&into, PYTHON_REQUIREMENTS].concat()).await?;
    }

    for name in ["initdb", "postgres", "pg_ctl"] {
        find_postgres(name)?;
    }
    find("redis-server")?;
    find("make")?;
    find("faketime")?;
    let installed = installed_python_packages().await?;
    if installed != required {
        bail!("{installed} is in the way of {required}");
    }
    Ok(())
}

/// Returns the command line of Schemathesis, which it installs where it is missing.
///
/// Needs what [`install`] installs.
///
/// # Errors
///
/// When it cannot be installed.
pub async fn schemathesis() -> Result<Command> {
    let command = || {
        let mut python = Command::new(find("python3")?);
        python.env("PYTHONPATH", SCHEMATHESIS_PACKAGES);
        anyhow::Ok(python)
    };
    let script = format!("import importlib.metadata as m; print(m.version('{SCHEMATHESIS}'))");
    let installed = run(command()?.args(["-c", &script])).await;
    if !installed.is_ok_and(|version| version == SCHEMATHESIS_VERSION) {
        println!(
            "installing {SCHEMATHESIS} {SCHEMATHESIS_VERSION} with pip into target/devstack/{SCHEMATHESIS}"
        );
        let requirement = format!("{SCHEMATHESIS}=={SCHEMATHESIS_VERSION}");
        pip_install(&["--target", SCHEMATHESIS_PACKAGES, &requirement]).await?;
    }
    let mut command = command()?;
    command.args(["-m", "schemathesis.cli"]).kill_on_drop(true);
    Ok(command)
}

async fn pip_install(args: &[&str]) -> Result<()> {
    let install = ["-m", "pip", "install", "--quiet", "--upgrade"];
    python(&[&install, args].concat()).await.map(drop)
}

/// Installs packages whose programs of the same name are missing.
///
/// # Errors
///
/// When one cannot be installed.
pub async fn install_packages(names: &[&'static str]) -> Result<()> {
    let missing: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| find(name).is_err())
        .collect();
    if !missing.is_empty() {
        apt_install(&missing).await?;
    }
    Ok(())
}

async fn apt_install(packages: &[&str]) -> Result<()> {
    println!("installing {} with apt-get", packages.join(", "));
    apt_get(&["update"]).await?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install, packages].concat()).await.map(drop)
}

/// Returns the `PYTHONPATH` that finds chDB and zlib-ng: where [`install`] puts them, then the caller's own.
pub(crate) fn python_path() -> Result<OsString> {
    let inherited = env::var_os("PYTHONPATH").unwrap_or_default();
    let paths = [PathBuf::from(PYTHON_PACKAGES)]
        .into_iter()
        .chain(env::split_paths(&inherited));
    Ok(env::join_paths(
        paths.filter(|path| Path::new(path).is_dir()),
    )?)
}

/// Asks for the versions of the Python packages, which fails unless they can be loaded.
async fn installed_python_packages() -> Result<String> {
    let script = "import chdb, zlib_ng, importlib.metadata as m; \
                  print(*(f'{name}=={m.version(name)}' for name in ('chdb-core', 'zlib-ng')))";
    python(&["-c", script]).await
}

async fn python(args: &[&str]) -> Result<String> {
    let mut python = Command::new(find("python3")?);
    run(python.args(args).env("PYTHONPATH", python_path()?)).await
}

async fn apt_get(args: &[&str]) -> Result<String> {
    let apt_get = find("apt-get").context("only Debian and its relatives are supported")?;
    let mut command = if Account::current()?.uid == 0 {
        Command::new(apt_get)
    } else {
        let mut sudo = Command::new(find("sudo").context("apt-get needs root or sudo")?);
        sudo.arg("DEBIAN_FRONTEND=noninteractive").arg(apt_get);
        sudo
    };
    run(command.env("DEBIAN_FRONTEND", "noninteractive").args(args)).await
}

async fn run(command: &mut Command) -> Result<String> {
    let output = command.kill_on_drop(true).output().await?;
    if !output.status.success() {
        let program = command.as_std().get_program().display();
        bail!(
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
