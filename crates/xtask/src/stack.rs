//! The devstack with both binaries on it, as `demo`, `up` and `bench` use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use devstack::{Devstack, Env, Service, export_environment, free_port, setup};
use tokio::process::Command;

use crate::cargo::{self, Binaries};
use crate::clickhouse::ClickHouse;
use crate::client::Client;
use crate::interrupt::or_interrupted;
use crate::layout::Layout;
use crate::preset::{Day, Preset};
use crate::tenants::{self, BAKERY, FERRY, Tenant};
use crate::terminal::{self, Step};
use crate::token;

/// The day that the sample telemetry of [`Product`] is of.
pub(crate) const SAMPLE_DAY: Day = Day(1);

const READY: Duration = Duration::from_mins(1);
/// How long a binary may take to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
const TOKEN_LIFETIME: Duration = Duration::from_hours(12);

/// Returns the directory of a command's stack.
pub(crate) fn directory(command: &str) -> PathBuf {
    cargo::target().join("devstack").join(command)
}

/// Returns the file that has the endpoints while `demo` or `up` runs.
pub(crate) fn env_file() -> PathBuf {
    cargo::target().join("devstack/env.json")
}

/// Installs what is missing, which says itself what it does.
///
/// # Errors
///
/// When a package cannot be installed.
pub(crate) async fn install() -> Result<()> {
    let started = Instant::now();
    setup::install().await?;
    terminal::line(true, "Everything is installed", started.elapsed());
    Ok(())
}

/// Starts the services that the product needs.
///
/// # Errors
///
/// When a service does not become ready.
pub(crate) async fn start_services(command: &str) -> Result<Devstack> {
    terminal::step(
        "Start PostgreSQL, Redis, ClickHouse (chDB), S3 and SMTP",
        Devstack::start(&directory(command)),
    )
    .await
}

/// The services, migrated and with the organizations and the empty tables.
#[derive(Debug)]
pub(crate) struct Stack {
    devstack: Devstack,
    dir: PathBuf,
    preset: Preset,
    http: reqwest::Client,
}

impl Stack {
    /// Starts the services and prepares them.
    ///
    /// # Errors
    ///
    /// When any of them fails.
    pub(crate) async fn start(command: &str, layout: Layout, binaries: &Binaries) -> Result<Self> {
        let Layout { preset, schema } = layout;
        let stack = Self {
            devstack: start_services(command).await?,
            dir: directory(command),
            preset,
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
        };
        terminal::step("Create the tables and two organizations", async {
            let postgres_url = &stack.env().postgres_url;
            schema.create(postgres_url).await?;
            stack.migrate(binaries).await?;
            tenants::seed(postgres_url).await?;
            preset.create_tables(&stack.clickhouse()).await
        })
        .await?;
        Ok(stack)
    }

    /// Runs `export-api migrate`.
    async fn migrate(&self, binaries: &Binaries) -> Result<()> {
        let output = Command::new(&binaries.api)
            .arg("migrate")
            .envs(export_environment(self.env(), &[]))
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Returns the endpoints.
    pub(crate) fn env(&self) -> &Env {
        self.devstack.env()
    }

    /// Returns the table layout.
    pub(crate) fn preset(&self) -> Preset {
        self.preset
    }

    /// Returns a connection to ClickHouse.
    pub(crate) fn clickhouse(&self) -> ClickHouse {
        ClickHouse::new(self.env(), self.http.clone())
    }

    /// Returns the process of ClickHouse.
    pub(crate) fn clickhouse_pid(&self) -> Option<u32> {
        self.devstack.clickhouse().pid()
    }

    /// Returns a client of the API at `api` for the user of `tenant`.
    ///
    /// # Errors
    ///
    /// When the token cannot be signed.
    pub(crate) fn client(&self, api: &str, tenant: Tenant) -> Result<Client> {
        let token = token::sign(self.env(), tenant.organization, tenant.user, TOKEN_LIFETIME)?;
        Ok(Client::new(self.http.clone(), api.to_owned(), token))
    }

    /// Starts `export-api` with the default configuration, and returns it with its URL.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub(crate) async fn spawn_api(&self, binaries: &Binaries) -> Result<(Service, String)> {
        self.spawn_api_with(binaries, &[]).await
    }

    /// Starts `export-api` with some keys of the configuration, and returns it with its URL.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub(crate) async fn spawn_api_with(
        &self,
        binaries: &Binaries,
        keys: &[(&str, &str)],
    ) -> Result<(Service, String)> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let url = format!("http://{listen}");
        let keys = [keys, &[("EXPORT__HTTP__LISTEN", &listen)]].concat();
        let mut api = self.spawn(&binaries.api, &keys)?;
        api.wait_until_ready(&format!("{url}/readyz"), READY)
            .await?;
        Ok((api, url))
    }

    /// Starts `export-worker` with the default configuration.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub(crate) async fn spawn_worker(&self, binaries: &Binaries) -> Result<Service> {
        self.spawn_worker_with(binaries, &[]).await
    }

    /// Starts `export-worker` with some keys of the configuration.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub(crate) async fn spawn_worker_with(
        &self,
        binaries: &Binaries,
        keys: &[(&str, &str)],
    ) -> Result<Service> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let keys = [keys, &[("EXPORT__WORKER__LISTEN", &listen)]].concat();
        let mut worker = self.spawn(&binaries.worker, &keys)?;
        let url = format!("http://{listen}/healthz");
        worker.wait_until_ready(&url, READY).await?;
        Ok(worker)
    }

    fn spawn(&self, binary: &Path, keys: &[(&str, &str)]) -> Result<Service> {
        let preset = ("EXPORT__DATASETS__PRESET", self.preset.name());
        let overrides = [keys, &[preset]].concat();
        let name = binary.file_name().unwrap_or_default();
        let log = self.dir.join(name).with_extension("log");
        Service::spawn(binary, &export_environment(self.env(), &overrides), &log)
    }

    /// Stops everything and removes what it left behind.
    ///
    /// # Errors
    ///
    /// When something does not stop.
    pub(crate) async fn stop(self) -> Result<()> {
        self.devstack.stop().await
    }
}

/// The whole product at work.
#[derive(Debug)]
pub(crate) struct Product {
    /// What it stands on.
    pub(crate) stack: Stack,
    /// Every endpoint, the API's among them.
    pub(crate) env: Env,
    /// Where the API is.
    pub(crate) api_url: String,
}

impl Product {
    /// Starts the product with `rows` sample rows of each kind for one organization and a tenth
    /// for the other, lets `work` have it, and stops it, whatever happens in between.
    ///
    /// # Errors
    ///
    /// When anything does not start or stop, when a binary ends by itself, and what `work` returns.
    pub(crate) async fn with(
        command: &str,
        layout: Layout,
        rows: u64,
        work: impl AsyncFnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let (product, mut services) = or_interrupted(Self::start(command, layout, rows)).await?;
        let outcome = or_interrupted(async {
            tokio::select! {
                outcome = work(&product) => outcome,
                error = services.api.ended() => Err(error),
                error = services.worker.ended() => Err(error),
            }
        })
        .await;

        let stopped = terminal::stop(async {
            // Each of them, whatever becomes of the others.
            let outcomes = [
                services.worker.stop(GRACE).await,
                services.api.stop(GRACE).await,
                product.stack.stop().await,
                fs::remove_file(env_file()).map_err(Into::into),
            ];
            outcomes.into_iter().collect()
        })
        .await;
        outcome.and(stopped)
    }

    async fn start(command: &str, layout: Layout, rows: u64) -> Result<(Self, Services)> {
        install().await?;
        let binaries = cargo::build(cargo::Build::Binaries).await?;
        let stack = Stack::start(command, layout, &binaries).await?;

        let step = Step::begin("Fill in sample telemetry");
        let clickhouse = stack.clickhouse();
        for (tenant, rows) in [(BAKERY, rows), (FERRY, rows.div_ceil(10))] {
            step.note(tenant.name);
            layout
                .preset
                .seed(&clickhouse, None, tenant.organization, SAMPLE_DAY, rows)
                .await?;
        }
        step.done();

        let step = Step::begin("Start export-api and export-worker");
        let (api, api_url) = stack.spawn_api(&binaries).await?;
        let worker = stack.spawn_worker(&binaries).await?;
        let env = Env {
            api_url: Some(api_url.clone()),
            ..stack.env().clone()
        };
        env.save(&env_file())?;
        step.done();
        let product = Self {
            stack,
            env,
            api_url,
        };
        Ok((product, Services { api, worker }))
    }
}

/// The two processes of the product.
#[derive(Debug)]
struct Services {
    api: Service,
    worker: Service,
}
