//! The connection to ClickHouse and the settings of its queries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clickhouse::{Client, Compression, RowOwned, RowRead};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use crate::config::ClickHouseConfig;
use crate::error::SourceError;
use crate::metrics::{self, Purpose};
use crate::settings::Agreement;
use crate::sql::Statement;

/// A server closes a connection that idles for 3 seconds or more; this is before it does.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// The ClickHouse that telemetry is read from; cheap to clone.
#[derive(Clone)]
pub struct ClickHouse {
    pub(crate) config: Arc<ClickHouseConfig>,
    /// What the server says of the settings of queries on telemetry.
    pub(crate) agreement: Arc<Agreement>,
    /// For rows.
    pub(crate) http: reqwest::Client,
    /// For all else.
    client: Client,
}

impl ClickHouse {
    /// Makes a client; connections are made as they are needed.
    ///
    /// # Errors
    ///
    /// When the operating system has no certificates for TLS.
    pub fn new(config: &ClickHouseConfig) -> reqwest::Result<Self> {
        metrics::describe();
        let client = Client::default()
            .with_url(config.url.as_str())
            .with_database(&config.database)
            .with_user(&config.user)
            .with_password(config.password.expose_secret())
            .with_compression(Compression::None);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build()?;
        Ok(Self {
            config: Arc::new(config.clone()),
            agreement: Arc::default(),
            http,
            client,
        })
    }

    /// Checks that the server answers queries of this user, with settings that keep answers whole.
    ///
    /// # Errors
    ///
    /// When it does not, or not within the idle timeout.
    pub async fn ping(&self) -> Result<(), SourceError> {
        self.settings().await?;
        self.execute(self.client.query_raw("SELECT 1")).await
    }

    /// Stops the queries that may still run for something that was [read](crate::SliceReader::read) under this
    /// id, such as something whose reader is gone.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked to.
    pub async fn kill(&self, query_id: &str) -> Result<(), SourceError> {
        let kill = "KILL QUERY WHERE startsWith(query_id, {id:String}) ASYNC";
        self.execute(
            self.client
                .query_raw(kill)
                .param("id", format!("{query_id}-")),
        )
        .await
    }

    async fn execute(&self, query: clickhouse::query::Query) -> Result<(), SourceError> {
        let timeout = self.idle_timeout();
        tokio::time::timeout(timeout, query.execute())
            .await
            .map_err(|_| SourceError::Stalled(timeout))?
            .map_err(SourceError::from)
    }

    /// Returns the whole answer to a statement of no telemetry.
    pub(crate) async fn fetch_all<R>(&self, statement: Statement) -> Result<Vec<R>, SourceError>
    where
        R: RowOwned + RowRead,
    {
        let timeout = self.idle_timeout();
        let query = self.query(statement).await?;
        let asked = Instant::now();
        let answer = tokio::time::timeout(timeout, query.fetch_all())
            .await
            .map_err(|_| SourceError::Stalled(timeout))
            .and_then(|answer| answer.map_err(SourceError::from));
        metrics::asked(Purpose::Count, &answer, asked.elapsed());
        self.review_settings(&answer);
        answer
    }

    /// The same, with these settings alone.
    pub(crate) async fn ask_small<R>(
        &self,
        sql: &str,
        settings: impl Iterator<Item = (&str, &str)>,
    ) -> Result<Vec<R>, clickhouse::error::Error>
    where
        R: RowOwned + RowRead,
    {
        let query = settings.fold(self.client.query_raw(sql), |query, (name, value)| {
            query.with_setting(name, value)
        });
        let answer = tokio::time::timeout(self.idle_timeout(), query.fetch_all()).await;
        answer.unwrap_or(Err(clickhouse::error::Error::TimedOut))
    }

    /// Returns an answer that is small, in the format `JSONCompact`.
    pub(crate) async fn fetch_json<T: DeserializeOwned>(
        &self,
        statement: Statement,
    ) -> Result<T, SourceError> {
        let timeout = self.idle_timeout();
        let query = self.query(statement).await?;
        let fetched = async { query.fetch_bytes("JSONCompact")?.collect().await };
        let bytes = tokio::time::timeout(timeout, fetched)
            .await
            .map_err(|_| SourceError::Stalled(timeout))?
            .map_err(SourceError::from)?;
        serde_json::from_slice(&bytes).map_err(|error| SourceError::Answer(error.to_string()))
    }

    async fn query(&self, statement: Statement) -> Result<clickhouse::query::Query, SourceError> {
        let agreed = self.settings().await?;
        let mut query = self.client.query_raw(&statement.sql);
        for (name, value) in &agreed.sent {
            query = query.with_setting(*name, value);
        }
        for (name, parameter) in statement.parameters {
            query = query.with_setting(format!("param_{name}"), parameter.to_string());
        }
        Ok(query)
    }

    /// Returns how long to wait for the first bytes of an answer: a query sorts before it answers.
    pub(crate) fn first_timeout(&self) -> Duration {
        Duration::from_secs(self.config.max_execution_time_s) + self.idle_timeout()
    }

    /// Returns how long to wait for more bytes of an answer.
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.config.idle_timeout_ms)
    }
}
