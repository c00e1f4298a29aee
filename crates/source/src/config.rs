//! How ClickHouse is reached and what a query may take.

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// The `clickhouse` section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// The HTTP interface, such as `http://clickhouse:8123`.
    pub url: Url,
    /// The database of the tables that a preset names without one.
    pub database: String,
    /// The user; needs no more than SELECT on the exported tables.
    pub user: String,
    /// The user's password; none for an account without one.
    #[serde(default)]
    pub password: SecretString,
    /// How long to wait for the next bytes of a running answer, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How long one query may run, in seconds. It includes the time that its rows wait for the
    /// object storage.
    pub max_execution_time_s: u64,
    /// How much memory one query may take, in bytes; 0 leaves it to the user's profile.
    pub max_memory_usage_bytes: u64,
    /// How many threads one query may take; 0 leaves it to the user's profile.
    pub max_threads: u32,
    /// Rows, about, that come in one piece. A piece is in memory whole, so wide rows want few.
    pub max_block_rows: u32,
    /// How long the server waits for a reader that is busy with the object storage, in seconds.
    pub send_timeout_s: u64,
}
