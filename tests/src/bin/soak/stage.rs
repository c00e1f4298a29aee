//! The service under fire, and what stands between it and the services that it needs.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::{Devstack, Proxy, Service, free_port};
use e2e::{Api, World, proxy_before};

use crate::schedule::WORKERS;

/// How long a worker may take to stop.
pub(crate) const GRACE: Duration = Duration::from_mins(1);

/// Small slices and short leases, so that minutes show what days would.
const SETTINGS: [(&str, &str); 15] = [
    ("EXPORT__LOG__FORMAT", "json"),
    ("EXPORT__WORKER__LEASE_S", "3"),
    ("EXPORT__WORKER__MAX_DEATHS", "10"),
    ("EXPORT__WORKER__SHUTDOWN_GRACE_S", "10"),
    ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "7000"),
    ("EXPORT__PIPELINE__BLOCK_ROWS", "500"),
    ("EXPORT__PIPELINE__ROW_GROUP_ROWS", "2000"),
    ("EXPORT__PIPELINE__PROGRESS_INTERVAL_MS", "50"),
    ("EXPORT__RETRY__MAX_ATTEMPTS", "30"),
    ("EXPORT__RETRY__MAX_DELAY_MS", "2000"),
    ("EXPORT__NOTIFICATIONS__MAX_DELAY_MS", "2000"),
    ("EXPORT__CLEANUP__MAX_DELAY_MS", "2000"),
    ("EXPORT__CLEANUP__SWEEP_INTERVAL_S", "10"),
    ("EXPORT__CLEANUP__SWEEP_MIN_AGE_S", "20"),
    ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
];

/// What is under fire.
pub(crate) struct Stage<'a> {
    pub(crate) world: &'a World,
    pub(crate) devstack: &'a Devstack,
    workers: Vec<Option<Service>>,
    pub(crate) postgres: Proxy,
    pub(crate) clickhouse: Proxy,
    pub(crate) s3: Proxy,
    api: Option<Api>,
    api_port: u16,
    /// The settings of a worker, through the proxies.
    settings: Vec<(&'static str, String)>,
}

impl<'a> Stage<'a> {
    /// Starts everything.
    pub(crate) async fn set(world: &'a World, devstack: &'a Devstack) -> Result<Self> {
        let (postgres, postgres_url) = proxy_before(&world.env.postgres_url).await?;
        let (clickhouse, clickhouse_url) = proxy_before(&world.env.clickhouse_url).await?;
        let (s3, s3_url) = proxy_before(&world.env.s3.endpoint).await?;
        let mut settings: Vec<_> = SETTINGS
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        settings.extend([
            ("EXPORT__POSTGRES__URL", postgres_url),
            ("EXPORT__CLICKHOUSE__URL", clickhouse_url),
            ("EXPORT__S3__ENDPOINT", s3_url),
        ]);
        let api_port = free_port()?;
        let mut stage = Self {
            world,
            devstack,
            workers: Vec::new(),
            postgres,
            clickhouse,
            s3,
            api: Some(world.api_at(api_port, &[]).await?),
            api_port,
            settings,
        };
        for worker in 0..WORKERS {
            stage.workers.push(None);
            stage.start_worker(worker).await?;
        }
        Ok(stage)
    }

    /// Returns where the API listens, at all times.
    pub(crate) fn api_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.api_port)
    }

    pub(crate) async fn start_worker(&mut self, worker: usize) -> Result<()> {
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        self.workers[worker] = Some(self.world.worker(&settings).await?);
        Ok(())
    }

    pub(crate) fn worker(&self, worker: usize) -> Result<&Service> {
        self.workers[worker].as_ref().context("a worker")
    }

    /// Takes a worker off the stage, to be ended.
    pub(crate) fn take_worker(&mut self, worker: usize) -> Result<Service> {
        self.workers[worker].take().context("a worker")
    }

    /// Kills the API and starts it at the same address.
    pub(crate) async fn restart_api(&mut self) -> Result<()> {
        let api = self.api.take().context("the API")?;
        api.service.kill().await?;
        self.api = Some(self.world.api_at(self.api_port, &[]).await?);
        Ok(())
    }

    /// Takes all faults back.
    pub(crate) async fn calm(&self) -> Result<()> {
        for proxy in [&self.postgres, &self.clickhouse, &self.s3] {
            proxy.heal().await?;
        }
        self.devstack.s3().faults().clear();
        self.devstack.smtp().faults().clear();
        Ok(())
    }

    /// Stops everything that was started.
    pub(crate) async fn leave(self) -> Result<()> {
        for worker in self.workers.into_iter().flatten() {
            worker.stop(GRACE).await?;
        }
        self.api.context("the API")?.service.stop(GRACE).await
    }
}
