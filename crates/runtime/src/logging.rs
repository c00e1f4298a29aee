//! Logging: lines for people, or JSON for collectors, on standard error.

use std::fmt;
use std::io::{self, IsTerminal};

use serde::Deserialize;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::traces::{self, Traces};

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
    Filter(#[from] ParseError),
    /// Logging was set up before.
    #[error("logging is set up already")]
    AlreadySet(#[from] TryInitError),
}

/// Sets up logging for the process, and sends its spans to `traces`.
///
/// # Errors
///
/// When the filter cannot be read, or logging is set up already.
pub fn init(config: &LogConfig, traces: &Traces) -> Result<(), LogError> {
    // At finer levels the client of ClickHouse quotes the values of filters.
    let filter = EnvFilter::try_new(format!("{},clickhouse=info", config.filter))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            lines.map_event_format(WithTrace).boxed()
        }
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.layer())
        .try_init()?;
    Ok(())
}

/// Puts the ids of the trace and of the span before what a line says anyhow.
struct WithTrace<F>(F);

impl<F, S, N> FormatEvent<S, N> for WithTrace<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(span) = traces::current_span() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let (trace_id, span_id) = (span.trace_id(), span.span_id());
        let rest = line.strip_prefix('{').unwrap_or(&line);
        write!(
            writer,
            r#"{{"trace_id":"{trace_id}","span_id":"{span_id}",{rest}"#
        )
    }
}
