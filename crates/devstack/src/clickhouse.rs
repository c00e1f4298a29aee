//! The ClickHouse engine (chDB) behind the HTTP interface of a server.

use std::path::Path;

use anyhow::Result;
use uuid::Uuid;

use crate::data_dir::DataDir;
use crate::net::{free_port, http_client};
use crate::process::{Process, Program};
use crate::programs::find;
use crate::setup;

const GATEWAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway");
const USER: &str = "default";

/// chDB behind the gateway. Dropping it ends it and removes its data.
pub struct ClickHouse {
    // Ends before its data goes.
    process: Process,
    data: DataDir,
    url: String,
    password: String,
}

impl ClickHouse {
    /// Starts an empty engine.
    ///
    /// # Errors
    ///
    /// When Python or chDB is not installed, or it does not start.
    pub async fn start(dir: &Path) -> Result<Self> {
        let data = DataDir::create(dir, "clickhouse")?;
        let port = free_port()?;
        let password = Uuid::new_v4().simple().to_string();
        let gateway = Program::new(find("python3")?)
            .args([GATEWAY, "--port", &port.to_string(), "--data"])
            .args([data.path().join("data")])
            .env("CLICKHOUSE_USER", USER)
            .env("CLICKHOUSE_PASSWORD", &password)
            .env("PYTHONPATH", setup::python_path()?)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TZ", "UTC");
        let clickhouse = Self {
            process: Process::new(gateway, None, &dir.join("clickhouse.log")),
            data,
            url: format!("http://127.0.0.1:{port}"),
            password,
        };
        clickhouse.restart().await?;
        Ok(clickhouse)
    }

    /// Returns the URL of the HTTP interface.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the name of the one user.
    pub fn user(&self) -> &str {
        USER
    }

    /// Returns the password of the one user.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Kills the engine as a power cut would.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn kill(&self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts the engine again, on the same port and data.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await?;
        let http = http_client()?;
        let ping = format!("{}/ping", self.url);
        self.process
            .start(async || {
                http.get(&ping)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
            })
            .await
    }

    /// Stops the engine and removes its data.
    ///
    /// # Errors
    ///
    /// When something stays behind.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await?;
        self.data.remove()
    }
}
