//! Logging: lines for people, or JSON for collectors, on standard error.

use std::io::{self, IsTerminal};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// The section `log`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// Which events, as `tracing_subscriber`'s `EnvFilter` reads it, such as `info,sqlx=warn`.
    pub filter: String,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that cannot be read, or a subscriber that is set already.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.filter` cannot be read.
    #[error("log.filter cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logging was set up before.
    #[error("logging is set up already")]
    AlreadySet(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// Sets up logging for the process.
///
/// # Errors
///
/// When the filter cannot be read, or logging is set up already.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    // At finer levels the client of ClickHouse quotes the values of filters.
    let filter = EnvFilter::try_new(format!("{},clickhouse=info", config.filter))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match config.format {
        LogFormat::Text => builder.try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).try_init()?,
    }
    Ok(())
}
