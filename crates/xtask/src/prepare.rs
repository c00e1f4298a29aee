//! Prepares the SQL queries of the crate `store`, so that it builds without a database.
//!
//! `sqlx`'s macros ask the database that `DATABASE_URL` names about each query, and write the
//! answer to the directory that `SQLX_OFFLINE_DIR` names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use devstack::Postgres;
use domain::{Clock as _, SystemClock};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};

use crate::cargo;
use crate::interrupt::or_interrupted;
use crate::stack;
use crate::terminal::Step;

/// The arguments of `sqlx`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only compares with what is committed.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Prepares the queries, or fails when they are prepared no longer.
pub(crate) async fn run(args: &Args) -> Result<()> {
    or_interrupted(stack::install()).await?;
    let step = Step::begin(if args.check {
        "Compare the prepared queries with the code and the migrations"
    } else {
        "Prepare the queries of the crate store"
    });
    let dir = stack::directory("sqlx");
    let postgres = or_interrupted(Postgres::start(&dir)).await?;
    let fresh = dir.join("queries");
    let outcome = or_interrupted(prepare(postgres.url(), &fresh)).await;
    let stopped = postgres.stop().await;
    outcome?;
    stopped?;

    let (fresh, committed) = (read(&fresh)?, read(&cargo::root().join(".sqlx"))?);
    if args.check {
        compare(&fresh, &committed)?;
    } else {
        write(&fresh, &cargo::root().join(".sqlx"))?;
    }
    step.done();
    Ok(())
}

async fn prepare(url: &str, into: &Path) -> Result<()> {
    migrate(url).await?;
    match fs::remove_dir_all(into) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(into)?,
    }
    // cargo does not see that the database may have changed.
    let library = cargo::root().join("crates/store/src/lib.rs");
    File::options()
        .write(true)
        .open(library)?
        .set_modified(SystemClock.now().into())?;
    let output = cargo::command()
        .args(["check", "--quiet", "-p", "store", "--all-targets"])
        .env("DATABASE_URL", url)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", into)
        .output()
        .await
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "the crate store does not build against the migrated database\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Applies the migrations from their files: this program builds without the crate that it prepares.
async fn migrate(url: &str) -> Result<()> {
    let mut migrator = Migrator::new(cargo::root().join("migrations")).await?;
    migrator.dangerous_set_table_name("export_migrations");
    let mut connection = PgConnection::connect(url).await?;
    migrator.run(&mut connection).await?;
    Ok(connection.close().await?)
}

type Queries = BTreeMap<String, String>;

fn read(dir: &Path) -> Result<Queries> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Queries::new()),
        entries => entries?,
    };
    entries
        .map(|entry| {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Ok((name, fs::read_to_string(path)?))
        })
        .collect()
}

fn compare(fresh: &Queries, committed: &Queries) -> Result<()> {
    let missing = fresh
        .keys()
        .filter(|name| !committed.contains_key(*name))
        .count();
    let unused = committed
        .keys()
        .filter(|name| !fresh.contains_key(*name))
        .count();
    let changed = fresh
        .iter()
        .filter(|(name, text)| committed.get(*name).is_some_and(|old| old != *text))
        .count();
    if missing + unused + changed > 0 {
        bail!(
            ".sqlx is stale: {missing} queries missing, {unused} unused, {changed} changed; \
             run `cargo xtask sqlx`"
        );
    }
    Ok(())
}

fn write(fresh: &Queries, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    for name in read(dir)?.keys().filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(dir.join(name))?;
    }
    for (name, text) in fresh {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Queries, compare, read, write};

    fn queries(pairs: &[(&str, &str)]) -> Queries {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn stale_queries_are_counted() {
        let fresh = queries(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let committed = queries(&[("b", "2"), ("c", "old"), ("d", "4")]);
        let error = compare(&fresh, &committed).unwrap_err();
        assert_eq!(
            error.to_string(),
            ".sqlx is stale: 1 queries missing, 1 unused, 1 changed; run `cargo xtask sqlx`"
        );
        assert!(compare(&fresh, &fresh).is_ok());
    }

    #[test]
    fn writing_replaces_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        write(&queries(&[("old", "1"), ("kept", "2")]), dir.path()).unwrap();
        let fresh = queries(&[("kept", "3"), ("new", "4")]);
        write(&fresh, dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), fresh);
    }
}
