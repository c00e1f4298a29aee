//! Where the services are and how to log in: what a client of the stack needs to know.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The environment variable that names the file of [`Env::shared`].
const ENV_FILE: &str = "DEVSTACK_ENV";

/// Endpoints and credentials of a running stack.
#[derive(Clone, Serialize, Deserialize)]
pub struct Env {
    /// The API, when it runs.
    pub api_url: Option<String>,
    /// The HTTP interface of ClickHouse.
    pub clickhouse_url: String,
    /// Its user.
    pub clickhouse_user: String,
    /// Its password.
    pub clickhouse_password: String,
    /// Its database.
    pub clickhouse_database: String,
    /// Postgres, with user and password, at the maintenance database.
    pub postgres_url: String,
    /// Redis.
    pub redis_url: String,
    /// The object storage.
    pub s3: S3Env,
    /// The mail server.
    pub smtp: SmtpEnv,
    /// Where the mail server shows what it received; see [`crate::Mailbox`].
    pub mailbox_url: String,
    /// The HS256 secret of the API's tokens.
    pub jwt_secret: String,
}

/// The object storage.
#[derive(Clone, Serialize, Deserialize)]
pub struct S3Env {
    /// The endpoint, for path-style requests.
    pub endpoint: String,
    /// The region that signatures name.
    pub region: String,
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The bucket of the service.
    pub bucket: String,
}

/// The mail server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SmtpEnv {
    /// The host.
    pub host: String,
    /// The port, plain with STARTTLS on offer.
    pub port: u16,
}

impl Env {
    /// Returns the stack that all tests share.
    ///
    /// # Panics
    ///
    /// When there is none: the tests were not run by `cargo xtask test`.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Env> = OnceLock::new();
        SHARED.get_or_init(|| {
            std::env::var_os(ENV_FILE)
                .context("DEVSTACK_ENV is not set")
                .and_then(|path| Self::load(Path::new(&path)))
                .unwrap_or_else(|error| panic!("run the tests with `cargo xtask test`: {error:#}"))
        })
    }

    /// Reads the JSON file that [`Env::save`] wrote.
    ///
    /// # Errors
    ///
    /// When it is missing or has another shape.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let json = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&json).with_context(|| format!("cannot parse {}", path.display()))
    }

    /// Writes a JSON file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        fs::write(path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The Postgres URL has the password in it.
        f.debug_struct("Env")
            .field("api_url", &self.api_url)
            .field("clickhouse_url", &self.clickhouse_url)
            .field("redis_url", &self.redis_url)
            .field("s3_endpoint", &self.s3.endpoint)
            .field("smtp", &self.smtp)
            .field("mailbox_url", &self.mailbox_url)
            .finish_non_exhaustive()
    }
}
