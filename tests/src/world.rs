//! A database, a bucket and two organizations of a journey's own, and the product's binaries.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use devstack::{
    Env, Mailbox, Service, export_environment, free_port, fresh_bucket, fresh_database,
};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use crate::PATIENCE;
use crate::api::Api;
use crate::clickhouse::ClickHouse;

/// What the claim `scope` of a member says.
pub const MEMBER: &str = "export:create export:read";

/// What the claim `scope` of an admin says.
pub const ADMIN: &str = "export:admin";

/// An organization and a user of it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The organization.
    pub organization: Uuid,
    /// The user.
    pub user: Uuid,
    /// The user's address.
    pub email: String,
    /// What the user may do, where the API looks for it in the claim `scope`.
    pub scope: &'static str,
}

/// Everything that a journey needs. Other journeys do not see it.
#[derive(Debug)]
pub struct World {
    /// The services; a journey may put others in their place before it starts the binaries.
    pub env: Env,
    /// The organization that exports.
    pub ours: Tenant,
    /// Another organization.
    pub theirs: Tenant,
    /// ClickHouse.
    pub clickhouse: ClickHouse,
    /// Where logs and private services live.
    pub dir: TempDir,
    queue: String,
}

impl World {
    /// Makes a world with empty tables.
    ///
    /// # Errors
    ///
    /// When a service fails.
    pub async fn new() -> Result<Self> {
        Self::on(Env::shared().clone()).await
    }

    /// Makes a world with empty tables on a stack.
    ///
    /// # Errors
    ///
    /// When a service fails.
    pub async fn on(env: Env) -> Result<Self> {
        let database = fresh_database(&env).await?;
        migrate(&database).await?;
        Self::in_database(env, database).await
    }

    /// Makes a world with empty tables in a database that is migrated.
    ///
    /// # Errors
    ///
    /// When a service fails.
    pub async fn in_database(mut env: Env, postgres_url: String) -> Result<Self> {
        runtime::tls::init();
        env.postgres_url = postgres_url;
        env.s3.bucket = fresh_bucket(&env).await?;
        let mut postgres = PgConnection::connect(&env.postgres_url).await?;
        let world = Self {
            ours: tenant(&mut postgres).await?,
            theirs: tenant(&mut postgres).await?,
            clickhouse: ClickHouse::new(&env),
            dir: tempfile::tempdir()?,
            queue: format!("e2e-{}", Uuid::new_v4().simple()),
            env,
        };
        world.clickhouse.script("otel.sql", &[]).await?;
        world.clickhouse.script("telemetryflow.sql", &[]).await?;
        Ok(world)
    }

    /// Moves to a database of ClickHouse of its own, with the tables of scripts.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub async fn with_tables(mut self, scripts: &[&str]) -> Result<Self> {
        let database = format!("e2e_{}", Uuid::new_v4().simple());
        let create = format!("CREATE DATABASE {database}");
        self.clickhouse.run(&create, &[]).await?;
        self.env.clickhouse_database = database;
        self.clickhouse = ClickHouse::new(&self.env);
        for script in scripts {
            self.clickhouse.script(script, &[]).await?;
        }
        Ok(self)
    }

    /// Fills the tables of a preset with sample telemetry of an organization, on 2026-01-01.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub async fn seed(&self, preset: &str, tenant: &Tenant, rows: u64) -> Result<()> {
        self.fill(&format!("{preset}_sample.sql"), tenant, rows)
            .await
    }

    /// Runs a script that fills tables with telemetry of an organization, on 2026-01-01.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub async fn fill(&self, script: &str, tenant: &Tenant, rows: u64) -> Result<()> {
        let parameters = [
            ("organization", &*tenant.organization.to_string()),
            ("start", "2026-01-01 00:00:00.000000000"),
            ("seconds", "86400"),
            ("rows", &*rows.to_string()),
        ];
        self.clickhouse.script(script, &parameters).await
    }

    /// Starts `export-api`, and returns a client of our user.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn api(&self, overrides: &[(&str, &str)]) -> Result<Api> {
        self.api_at(free_port()?, overrides).await
    }

    /// Starts `export-api` on a port, and returns a client of our user.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn api_at(&self, port: u16, overrides: &[(&str, &str)]) -> Result<Api> {
        let listen = format!("127.0.0.1:{port}");
        let url = format!("http://{listen}");
        let mut service = self.spawn("API", "EXPORT__HTTP__LISTEN", &listen, overrides)?;
        service
            .wait_until_ready(&format!("{url}/healthz"), PATIENCE)
            .await?;
        Api::new(service, url, &self.env, &self.ours)
    }

    /// Starts `export-worker`.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn worker(&self, overrides: &[(&str, &str)]) -> Result<Service> {
        self.worker_at(free_port()?, overrides).await
    }

    /// Starts `export-worker` on a port.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn worker_at(&self, port: u16, overrides: &[(&str, &str)]) -> Result<Service> {
        let listen = format!("127.0.0.1:{port}");
        let mut service = self.spawn("WORKER", "EXPORT__WORKER__LISTEN", &listen, overrides)?;
        let healthz = format!("http://{listen}/healthz");
        service.wait_until_ready(&healthz, PATIENCE).await?;
        Ok(service)
    }

    fn spawn(
        &self,
        binary: &str,
        listen_key: &str,
        listen: &str,
        overrides: &[(&str, &str)],
    ) -> Result<Service> {
        let path = self::binary(binary)?;
        let ours = [
            (listen_key, listen),
            ("EXPORT__REDIS__NAME", &self.queue),
            // Journeys wait for what happens, not for schedules.
            ("EXPORT__WORKER__POLL_INTERVAL_MS", "200"),
            ("EXPORT__RETRY__FIRST_DELAY_MS", "200"),
            ("EXPORT__CLEANUP__POLL_INTERVAL_MS", "200"),
            ("EXPORT__CLEANUP__FIRST_DELAY_MS", "200"),
            ("EXPORT__SCHEDULES__POLL_INTERVAL_MS", "200"),
            ("EXPORT__NOTIFICATIONS__POLL_INTERVAL_MS", "200"),
            ("EXPORT__NOTIFICATIONS__FIRST_DELAY_MS", "200"),
        ];
        let environment = export_environment(&self.env, &[&ours, overrides].concat());
        let log = self.dir.path().join(format!("{binary}.log"));
        Service::spawn(&path, &environment, &log)
    }

    /// Adds another user of our organization.
    ///
    /// # Errors
    ///
    /// When Postgres fails.
    pub async fn colleague(&self, scope: &'static str) -> Result<Tenant> {
        let mut postgres = self.postgres().await?;
        user(&mut postgres, self.ours.organization, scope).await
    }

    /// Connects to Postgres.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    pub async fn postgres(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.env.postgres_url).await?)
    }

    /// Returns the e-mails to our user once there are `count`.
    ///
    /// # Errors
    ///
    /// When there are not so many after a while.
    pub async fn mails(&self, count: usize) -> Result<Vec<devstack::Mail>> {
        let mailbox = Mailbox::new(&self.env.mailbox_url);
        crate::eventually("e-mails", async || {
            let mails = mailbox.messages_to(&self.ours.email).await?;
            Ok((mails.len() >= count).then_some(mails))
        })
        .await
    }
}

/// Runs `export-api migrate`, which needs to know of nothing but Postgres.
///
/// # Errors
///
/// What it says.
pub async fn migrate(postgres_url: &str) -> Result<()> {
    let output = Command::new(binary("API")?)
        .arg("migrate")
        .env("EXPORT__POSTGRES__URL", postgres_url)
        .kill_on_drop(true)
        .output()
        .await?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "migrate failed: {told}");
    Ok(())
}

/// Returns the path of one of the product's binaries.
fn binary(name: &str) -> Result<PathBuf> {
    let variable = format!("EXPORT_{name}_BIN");
    let path = env::var_os(&variable)
        .with_context(|| format!("{variable} is not set: run the tests with `cargo xtask test`"))?;
    Ok(path.into())
}

async fn tenant(postgres: &mut PgConnection) -> Result<Tenant> {
    let organization = Uuid::new_v4();
    sqlx::query("INSERT INTO organizations (organization_id, name) VALUES ($1, 'Acme')")
        .bind(organization)
        .execute(&mut *postgres)
        .await?;
    user(postgres, organization, MEMBER).await
}

async fn user(
    postgres: &mut PgConnection,
    organization: Uuid,
    scope: &'static str,
) -> Result<Tenant> {
    let user = Uuid::new_v4();
    let email = format!("{}@example.test", user.simple());
    sqlx::query("INSERT INTO users (user_id, organization_id, email) VALUES ($1, $2, $3)")
        .bind(user)
        .bind(organization)
        .bind(&email)
        .execute(postgres)
        .await?;
    Ok(Tenant {
        organization,
        user,
        email,
        scope,
    })
}
