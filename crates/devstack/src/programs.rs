//! Finds the programs of the distribution's packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// Where Debian and Ubuntu keep PostgreSQL's programs, in a directory per version.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// Finds a program in `PATH` and the usual places outside of it.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/usr/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("{name} is not installed: run `cargo xtask demo`"))
}

/// Finds a program of PostgreSQL, of the newest version that has it.
///
/// # Errors
///
/// When it is not installed.
pub fn find_postgres(name: &str) -> Result<PathBuf> {
    newest_postgres(Path::new(POSTGRES_VERSIONS), name).map_or_else(|| find(name), Ok)
}

fn newest_postgres(versions: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(versions)
        .ok()?
        .filter_map(|entry| {
            let dir = entry.ok()?;
            let version: u32 = dir.file_name().to_str()?.parse().ok()?;
            let program = dir.path().join("bin").join(name);
            program.is_file().then_some((version, program))
        })
        .max()
        .map(|(_, program)| program)
}

/// An account of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// The user id.
    pub(crate) uid: u32,
    /// The id of the user's group.
    pub(crate) gid: u32,
}

impl Account {
    /// Returns the account that runs this process.
    pub(crate) fn current() -> Result<Self> {
        Self::ask(&[]).context("cannot tell who runs this process")
    }

    /// Looks an account up by its name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        Self::ask(&[name]).with_context(|| format!("there is no user {name}"))
    }

    fn ask(name: &[&str]) -> Result<Self> {
        let id = |flag: &str| {
            let output = Command::new("id").arg(flag).args(name).output()?;
            anyhow::Ok(String::from_utf8(output.stdout)?.trim().parse()?)
        };
        Ok(Self {
            uid: id("-u")?,
            gid: id("-g")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{find, newest_postgres};

    #[test]
    fn the_newest_postgres_is_the_one_with_the_largest_number() {
        let versions = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "old"] {
            let bin = versions.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            if version != "17" {
                fs::write(bin.join("initdb"), "").unwrap();
            }
        }
        let found = newest_postgres(versions.path(), "initdb").unwrap();
        assert_eq!(found, versions.path().join("15/bin/initdb"));
        assert_eq!(newest_postgres(versions.path(), "nothing"), None);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = find("no-such-program").unwrap_err().to_string();
        assert!(
            error.starts_with("no-such-program is not installed"),
            "{error}"
        );
    }
}
