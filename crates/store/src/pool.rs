//! Connections to Postgres, each with its limits of time.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tracing::warn;

use crate::error::{REFUSED_CREDENTIALS, StoreError, has_code};
use crate::{metrics, transaction};

/// Where Postgres is and how patient to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=…`
    pub url: SecretString,
    /// The file that holds the URL, which is read again when Postgres refuses the password.
    pub url_file: Option<PathBuf>,
    /// Connections of this process.
    pub max_connections: u32,
    /// How long to wait for a free connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// How long the server lets a statement run, or a transaction idle, in milliseconds. The
    /// latter bounds how long a process that was stopped in the middle can block a row.
    pub statement_timeout_ms: u64,
    /// How long `migrate` waits for a lock, in seconds.
    pub migration_lock_timeout_s: u64,
}

/// Makes a pool that connects when it is first used, so that it exists while Postgres is down.
///
/// # Errors
///
/// [`StoreError::Config`] when the URL is none of Postgres.
pub fn connect(config: &PostgresConfig, application: &str) -> Result<PgPool, StoreError> {
    connect_with(config, application, &[])
}

/// Makes a pool as [`connect`] does, for whoever claims jobs: each statement is planned when it is run.
///
/// The queue can grow a thousandfold before Postgres has counted it again, and a plan from before would
/// look through all of it for each organization.
///
/// # Errors
///
/// [`StoreError::Config`] when the URL is none of Postgres.
pub fn connect_to_claim(config: &PostgresConfig, application: &str) -> Result<PgPool, StoreError> {
    connect_with(
        config,
        application,
        &[("plan_cache_mode", "force_custom_plan")],
    )
}

fn connect_with(
    config: &PostgresConfig,
    application: &str,
    settings: &[(&str, &str)],
) -> Result<PgPool, StoreError> {
    metrics::describe();
    let timeout = config.statement_timeout_ms.to_string();
    let session = Session {
        application: application.to_owned(),
        settings: [
            ("statement_timeout", &*timeout),
            ("idle_in_transaction_session_timeout", &*timeout),
        ]
        .iter()
        .chain(settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect(),
    };
    let options = session
        .at(config.url.expose_secret())
        .map_err(StoreError::Config)?;
    if let Some(path) = &config.url_file {
        // A process has one pool.
        let _ = URL_FILE.set((path.clone(), session));
    }
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
        // A connection was seen to work when it came back.
        .test_before_acquire(false)
        .before_acquire(|conn, meta| Box::pin(works(conn, meta.idle_for)))
        .after_release(|conn, meta| Box::pin(transaction::is_outside(conn, meta.age)))
        .connect_lazy_with(options))
}

/// What each connection has, whatever it connects to.
struct Session {
    application: String,
    settings: Vec<(String, String)>,
}

impl Session {
    fn at(&self, url: &str) -> Result<PgConnectOptions, sqlx::Error> {
        let options: PgConnectOptions = url.parse()?;
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        Ok(options
            .application_name(&self.application)
            .options(settings))
    }
}

/// The file that holds the URL, and what the connections of the pool have.
static URL_FILE: OnceLock<(PathBuf, Session)> = OnceLock::new();

/// Has a pool connect as the file of the URL says now, if there is one.
fn read_url_again(pool: &PgPool) -> bool {
    let Some((path, session)) = URL_FILE.get() else {
        return false;
    };
    let url = fs::read_to_string(path).map_err(sqlx::Error::Io);
    match url.and_then(|url| session.at(url.trim_end())) {
        Ok(options) => {
            pool.set_connect_options(options);
            true
        }
        Err(error) => {
            warn!(
                error = &error as &dyn Error,
                "the file of the URL cannot be read again"
            );
            false
        }
    }
}

/// How long a connection that was seen to work is taken to do so, without asking.
const FRESH: Duration = Duration::from_secs(1);

/// Tells whether a connection may be handed out.
async fn works(conn: &mut PgConnection, idle_for: Duration) -> Result<bool, sqlx::Error> {
    if idle_for > FRESH {
        conn.ping().await?;
    }
    Ok(true)
}

/// Takes a connection out of the pool.
///
/// # Errors
///
/// When none is free in time, or Postgres cannot be reached.
pub async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
    match pool.acquire().await {
        Err(error) if has_code(&error, REFUSED_CREDENTIALS) && read_url_again(pool) => {
            Ok(pool.acquire().await?)
        }
        acquired => Ok(acquired?),
    }
}

/// Checks that Postgres answers.
///
/// # Errors
///
/// When it does not.
pub async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    Ok(acquire(pool).await?.ping().await?)
}
