//! A private PostgreSQL cluster.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::data_dir::DataDir;
use crate::net::free_port;
use crate::process::{Process, Program};
use crate::programs::{Account, find, find_postgres};

/// How long the backends of a killed server may hold on to its memory.
const RESTART_DEADLINE: Duration = Duration::from_secs(30);

/// A PostgreSQL server with a data directory of its own. Dropping it removes both.
pub struct Postgres {
    // Ends before its data goes.
    process: Process,
    data: DataDir,
    url: String,
}

impl Postgres {
    /// Creates a cluster and starts it.
    ///
    /// PostgreSQL refuses to run as root; then it runs as `postgres` or `nobody`, and where that
    /// user cannot reach `dir`, the cluster is among the temporary files.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not start.
    pub async fn start(dir: &Path) -> Result<Self> {
        let (data, account) = place(dir)?;
        let cluster = data.path().join("cluster");
        let password = Uuid::new_v4().simple().to_string();
        init(&cluster, data.path(), account, &password)?;

        let port = free_port()?;
        let server = Program::new(find_postgres("postgres")?)
            .args(["-D".as_ref(), cluster.as_os_str()])
            .args(["-p", &port.to_string()])
            .args(settings([
                ("listen_addresses", "127.0.0.1"),
                ("unix_socket_directories", ""),
                ("max_connections", "400"),
                // The data outlives a killed server, which is all that is asked of it.
                ("fsync", "off"),
                ("full_page_writes", "off"),
            ]))
            .account(account);
        let quit = Program::new(find_postgres("pg_ctl")?)
            .args(["stop", "-m", "immediate", "-D"])
            .args([&cluster])
            .account(account);
        let postgres = Self {
            process: Process::new(server, Some(quit), &dir.join("postgres.log")),
            data,
            url: format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres"),
        };
        postgres.launch().await?;
        Ok(postgres)
    }

    /// Returns the URL of the maintenance database, with user and password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills the server as a power cut would.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn kill(&self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts the server again, on the same port and data, after [`Postgres::kill`].
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await?;
        let started = Instant::now();
        loop {
            match self.launch().await {
                Err(_) if started.elapsed() < RESTART_DEADLINE => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Stops the server and removes its data.
    ///
    /// # Errors
    ///
    /// When something stays behind.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await?;
        self.data.remove()
    }

    async fn launch(&self) -> Result<()> {
        self.process
            .start(async || PgConnection::connect(&self.url).await.is_ok())
            .await
    }
}

/// Finds a directory that the server can use, and the account to run it as.
fn place(dir: &Path) -> Result<(DataDir, Option<Account>)> {
    let data = DataDir::create(dir, "postgres")?;
    if Account::current()?.uid != 0 {
        return Ok((data, None));
    }
    let account = Account::named("postgres").or_else(|_| Account::named("nobody"))?;
    let give = |data: &DataDir| chown(data.path(), Some(account.uid), Some(account.gid));
    give(&data)?;
    let reachable = Program::new(find("test")?)
        .args(["-w".as_ref(), data.path().as_os_str()])
        .account(Some(account))
        .run();
    if reachable.is_ok() {
        return Ok((data, Some(account)));
    }
    let data = DataDir::temporary()?;
    give(&data)?;
    Ok((data, Some(account)))
}

fn init(cluster: &Path, data: &Path, account: Option<Account>, password: &str) -> Result<()> {
    let password_file: PathBuf = data.join("password");
    fs::write(&password_file, password)?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))?;
    if let Some(Account { uid, gid }) = account {
        chown(&password_file, Some(uid), Some(gid))?;
    }
    Program::new(find_postgres("initdb")?)
        .args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ])
        .args(["--locale=C", "--no-sync", "--pwfile"])
        .args([
            password_file.as_os_str(),
            "-D".as_ref(),
            cluster.as_os_str(),
        ])
        .account(account)
        .run()
        .context("cannot create a PostgreSQL cluster")
}

fn settings<const N: usize>(settings: [(&str, &str); N]) -> impl Iterator<Item = String> {
    let pairs = settings.map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]);
    pairs.into_iter().flatten()
}
