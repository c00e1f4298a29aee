//! The connection to ClickHouse and the settings of its queries.

use std::time::Duration;

use clickhouse::query::BytesCursor;
use clickhouse::{Client, Compression};
use secrecy::ExposeSecret;

use crate::config::ClickHouseConfig;
use crate::error::SourceError;
use crate::sql::Statement;

/// The ClickHouse that telemetry is read from; cheap to clone.
#[derive(Clone)]
pub struct ClickHouse {
    /// For statements that are not queries on telemetry.
    client: Client,
    /// With the settings of queries.
    reader: Client,
    idle_timeout: Duration,
    max_execution_time: Duration,
}

impl ClickHouse {
    /// Makes a client; connections are made as they are needed.
    pub fn new(config: &ClickHouseConfig) -> Self {
        let client = Client::default()
            .with_url(config.url.as_str())
            .with_database(&config.database)
            .with_user(&config.user)
            .with_password(config.password.expose_secret())
            // Arrow compresses inside.
            .with_compression(Compression::None);
        let reader = settings(config)
            .into_iter()
            .fold(client.clone(), |client, (name, value)| {
                client.with_setting(name, value)
            });
        Self {
            client,
            reader,
            idle_timeout: Duration::from_millis(config.idle_timeout_ms),
            max_execution_time: Duration::from_secs(config.max_execution_time_s),
        }
    }

    /// Checks that the server answers queries of this user.
    ///
    /// # Errors
    ///
    /// When it does not, or not within the idle timeout.
    pub async fn ping(&self) -> Result<(), SourceError> {
        self.execute(self.client.query_raw("SELECT 1")).await
    }

    /// Stops a query that may still run, such as one whose reader is gone.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked to.
    pub async fn kill(&self, query_id: &str) -> Result<(), SourceError> {
        let kill = "KILL QUERY WHERE query_id = {id:String} ASYNC";
        self.execute(self.client.query_raw(kill).param("id", query_id))
            .await
    }

    async fn execute(&self, query: clickhouse::query::Query) -> Result<(), SourceError> {
        tokio::time::timeout(self.idle_timeout, query.execute())
            .await
            .map_err(|_| SourceError::Stalled(self.idle_timeout))?
            .map_err(SourceError::from)
    }

    /// Starts a query; its answer is an Arrow IPC stream.
    pub(crate) fn fetch(
        &self,
        statement: Statement,
        query_id: Option<&str>,
    ) -> Result<BytesCursor, SourceError> {
        let mut query = self.reader.query_raw(&statement.sql);
        if let Some(query_id) = query_id {
            query = query.with_setting("query_id", query_id);
        }
        for (name, value) in statement.parameters {
            query = query.param(&name, value);
        }
        Ok(query.fetch_bytes("ArrowStream")?)
    }

    /// Returns how long to wait for the first bytes of an answer: a query sorts before it answers.
    pub(crate) fn first_timeout(&self) -> Duration {
        self.max_execution_time + self.idle_timeout
    }

    /// Returns how long to wait for more bytes of an answer.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }
}

fn settings(config: &ClickHouseConfig) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("log_comment", "data export".to_owned()),
        (
            "max_execution_time",
            config.max_execution_time_s.to_string(),
        ),
        ("max_block_size", config.max_block_rows.to_string()),
        ("http_send_timeout", config.send_timeout_s.to_string()),
        ("http_receive_timeout", config.send_timeout_s.to_string()),
        (
            "cancel_http_readonly_queries_on_client_close",
            "1".to_owned(),
        ),
        // Nothing but UTF-8 may be in an Arrow string, and ClickHouse's strings are bytes.
        ("output_format_arrow_string_as_string", "0".to_owned()),
        (
            "output_format_arrow_low_cardinality_as_dictionary",
            "0".to_owned(),
        ),
        // The client looks for exceptions at the end of each chunk, and would take a log line
        // that looks like one for one. Compressed, there are no such lines.
        (
            "output_format_arrow_compression_method",
            "lz4_frame".to_owned(),
        ),
        // A profile may say `break`, which ends an answer early without a word.
        ("result_overflow_mode", "throw".to_owned()),
        ("timeout_overflow_mode", "throw".to_owned()),
        ("read_overflow_mode", "throw".to_owned()),
        ("sort_overflow_mode", "throw".to_owned()),
        ("group_by_overflow_mode", "throw".to_owned()),
    ];
    if config.send_readonly {
        settings.push(("readonly", "2".to_owned()));
    }
    if config.max_memory_usage_bytes > 0 {
        settings.push((
            "max_memory_usage",
            config.max_memory_usage_bytes.to_string(),
        ));
    }
    if config.max_threads > 0 {
        settings.push(("max_threads", config.max_threads.to_string()));
    }
    settings
}
