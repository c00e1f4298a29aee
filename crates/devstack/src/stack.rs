//! All services together.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};
use uuid::Uuid;

use crate::env::{Env, SmtpEnv};
use crate::{ClickHouse, Postgres, Redis, S3, Smtp};

/// The bucket of the service.
const BUCKET: &str = "exports";

/// A running stack. Dropping it stops everything and removes all data; the log files stay.
pub struct Devstack {
    env: Env,
    postgres: Postgres,
    redis: Redis,
    clickhouse: ClickHouse,
    s3: S3,
    smtp: Smtp,
    /// Held while the stack has its directory.
    _lock: File,
}

impl Devstack {
    /// Starts everything side by side, with data and logs below `dir`.
    ///
    /// # Errors
    ///
    /// When another stack runs there, a package is missing or a service does not start.
    pub async fn start(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock()
            .with_context(|| format!("another stack runs in {}", dir.display()))?;

        let (postgres, redis, clickhouse, s3, smtp) = tokio::try_join!(
            Postgres::start(dir),
            Redis::start(dir),
            ClickHouse::start(dir),
            S3::start(dir),
            Smtp::start(dir),
        )?;
        s3.create_bucket(BUCKET)?;
        let env = Env {
            api_url: None,
            clickhouse_url: clickhouse.url().to_owned(),
            clickhouse_user: clickhouse.user().to_owned(),
            clickhouse_password: clickhouse.password().to_owned(),
            clickhouse_database: "default".to_owned(),
            postgres_url: postgres.url().to_owned(),
            redis_url: redis.url(),
            s3: s3.env(BUCKET),
            smtp: SmtpEnv {
                host: "127.0.0.1".to_owned(),
                port: smtp.port(),
            },
            mailbox_url: smtp.mailbox_url(),
            jwt_secret: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        };
        Ok(Self {
            env,
            postgres,
            redis,
            clickhouse,
            s3,
            smtp,
            _lock: lock,
        })
    }

    /// Returns endpoints and credentials.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Returns PostgreSQL.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Returns Redis.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Returns ClickHouse.
    pub fn clickhouse(&self) -> &ClickHouse {
        &self.clickhouse
    }

    /// Returns the object storage.
    pub fn s3(&self) -> &S3 {
        &self.s3
    }

    /// Returns the mail server.
    pub fn smtp(&self) -> &Smtp {
        &self.smtp
    }

    /// Stops everything and removes all data; the log files stay.
    ///
    /// # Errors
    ///
    /// When something stays behind.
    pub async fn stop(self) -> Result<()> {
        tokio::try_join!(
            self.postgres.stop(),
            self.redis.stop(),
            self.clickhouse.stop(),
            self.s3.stop(),
            self.smtp.stop(),
        )?;
        Ok(())
    }
}

impl fmt::Debug for Devstack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devstack")
            .field("env", &self.env)
            .finish_non_exhaustive()
    }
}
