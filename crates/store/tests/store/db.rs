//! A database of its own for each test, with an organization and a user in it.

use std::time::Duration;

use anyhow::Result;
use devstack::Env;
use domain::{ExportRequest, ExportedFile, JobId, OrganizationId, RequestLimits, UserId, WorkerId};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use store::PostgresConfig;
use store::events::Actor;
use store::jobs::{self, Claim, NewJob};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_mins(1);
pub(crate) const RETENTION: Duration = Duration::from_hours(24);

pub(crate) struct Db {
    pub(crate) pool: PgPool,
    pub(crate) organization: OrganizationId,
    pub(crate) user: UserId,
}

/// Connects to a new, empty database.
pub(crate) async fn empty() -> Result<PgPool> {
    let url = devstack::fresh_database(Env::shared()).await?;
    let config = PostgresConfig {
        url: SecretString::from(url),
        max_connections: 8,
        acquire_timeout_ms: 20_000,
        statement_timeout_ms: 20_000,
    };
    Ok(store::connect(&config, "store-test")?)
}

impl Db {
    pub(crate) async fn fresh() -> Result<Self> {
        let pool = empty().await?;
        store::migrate(&pool).await?;
        let (organization, user) = (Uuid::new_v4(), Uuid::new_v4());
        sqlx::query("INSERT INTO organizations (id, name) VALUES ($1, 'Acme')")
            .bind(organization)
            .execute(&pool)
            .await?;
        sqlx::query(
            "INSERT INTO users (id, organization_id, email) VALUES ($1, $2, 'ada@acme.test')",
        )
        .bind(user)
        .bind(organization)
        .execute(&pool)
        .await?;
        Ok(Self {
            pool,
            organization: organization.into(),
            user: user.into(),
        })
    }

    pub(crate) async fn conn(&self) -> Result<PoolConnection<Postgres>> {
        Ok(store::acquire(&self.pool).await?)
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor {
            user: self.user,
            ip: Some([203, 0, 113, 7].into()),
            user_agent: Some("curl/8.5.0".to_owned()),
        }
    }

    pub(crate) fn new_job(&self) -> NewJob {
        NewJob {
            id: Uuid::new_v4().into(),
            organization: self.organization,
            actor: self.actor(),
            request: request(&json!({})),
        }
    }

    /// Posts a job that asks for a day of logs.
    pub(crate) async fn post(&self) -> Result<JobId> {
        let job = self.new_job();
        jobs::insert(&mut *self.conn().await?, &job).await?;
        Ok(job.id)
    }

    /// Claims the job that is due, for a worker.
    pub(crate) async fn claim(&self) -> Result<Option<Claim>> {
        Ok(jobs::claim(&mut *self.conn().await?, &worker(1), LEASE).await?)
    }

    /// Posts a job and claims it.
    pub(crate) async fn claimed(&self) -> Result<Claim> {
        let job = self.post().await?;
        let claim = self.claim().await?.expect("the job is due");
        assert_eq!(claim.job.id, job);
        Ok(claim)
    }

    /// Lets every lease end, of jobs and of notifications.
    pub(crate) async fn expire_leases(&self) -> Result<()> {
        for table in [
            "UPDATE export_jobs SET lease_until = now() WHERE lease_until IS NOT NULL",
            "UPDATE notifications SET lease_until = now() WHERE lease_until IS NOT NULL",
        ] {
            sqlx::query(table).execute(&self.pool).await?;
        }
        Ok(())
    }
}

pub(crate) fn worker(number: u32) -> WorkerId {
    WorkerId::new("test", 1, number)
}

/// A request for a day of logs, with some members of its body changed.
pub(crate) fn request(changes: &Value) -> ExportRequest {
    let mut body = json!({
        "data_type": "logs", "format": "csv",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
    });
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    ExportRequest::parse(&body, &RequestLimits::NONE).expect("a valid request")
}

pub(crate) fn file() -> ExportedFile {
    ExportedFile {
        object_key: "exports/1.csv.gz".to_owned(),
        size_bytes: 1_234,
        rows: 42,
        sha256: "ab".repeat(32),
    }
}
