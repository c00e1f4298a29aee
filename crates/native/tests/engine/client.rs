//! Queries on the shared ClickHouse.

use devstack::Env;
use native::{Block, Decoder, Limits};

/// What the random types need, what makes the order of rows certain, and JSON as text in both formats.
const SETTINGS: &[(&str, &str)] = &[
    ("output_format_native_write_json_as_string", "1"),
    ("output_format_binary_write_json_as_string", "1"),
    ("allow_suspicious_low_cardinality_types", "1"),
    ("enable_time_time64_type", "1"),
    ("max_threads", "1"),
];

pub(crate) struct Client(clickhouse::Client);

impl Client {
    pub(crate) fn new() -> Self {
        let env = Env::shared();
        let client = clickhouse::Client::default()
            .with_url(&env.clickhouse_url)
            .with_user(&env.clickhouse_user)
            .with_password(&env.clickhouse_password)
            .with_database(&env.clickhouse_database);
        Self(SETTINGS.iter().fold(client, |client, (name, value)| {
            client.with_setting(*name, *value)
        }))
    }

    /// Goes on in a database of its own.
    pub(crate) async fn in_new_database(self) -> Self {
        let database = format!("native_{}", uuid::Uuid::new_v4().simple());
        self.bytes(&format!("CREATE DATABASE {database}"), "Null", &[])
            .await;
        Self(self.0.with_database(database))
    }

    /// Runs a query and returns the whole answer.
    pub(crate) async fn bytes(
        &self,
        sql: &str,
        format: &str,
        settings: &[(&str, &str)],
    ) -> bytes::Bytes {
        let query = settings
            .iter()
            .fold(self.0.query_raw(sql), |query, (name, value)| {
                query.with_setting(*name, *value)
            });
        let answer = async { query.fetch_bytes(format)?.collect().await };
        answer
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs a query and decodes the answer in chunks of this size.
    pub(crate) async fn blocks(&self, sql: &str, block_rows: usize, chunk: usize) -> Vec<Block> {
        let block_rows = block_rows.to_string();
        let settings = [("max_block_size", block_rows.as_str())];
        let bytes = self.bytes(sql, "Native", &settings).await;
        let mut decoder = Decoder::new(Limits::default());
        let mut blocks = Vec::new();
        for start in (0..bytes.len()).step_by(chunk) {
            let end = (start + chunk).min(bytes.len());
            decoder.push(bytes.slice(start..end));
            while let Some(block) = decoder
                .next_block()
                .unwrap_or_else(|e| panic!("{sql}: {e:?}"))
            {
                blocks.push(block);
            }
        }
        decoder.finish().unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        blocks
    }
}
