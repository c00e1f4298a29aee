//! The table layouts that ship, filled with sample telemetry.

use std::fs;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use uuid::Uuid;

use crate::cargo;
use crate::clickhouse::{ClickHouse, statements};

/// A day of January 2026 in UTC, from 1 to 30: the time range of some sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day(pub(crate) u8);

impl Day {
    /// Returns the first instant, as a request has it.
    pub(crate) fn start(self) -> String {
        format!("2026-01-{:02}T00:00:00Z", self.0)
    }

    /// Returns the first instant after it, as a request has it.
    pub(crate) fn end(self) -> String {
        Self(self.0 + 1).start()
    }

    /// Returns the first instant, as ClickHouse reads it.
    pub(crate) fn start_sql(self) -> String {
        format!("2026-01-{:02} 00:00:00.000000000", self.0)
    }
}

const SECONDS_PER_DAY: &str = "86400";

/// A dataset that the demo and the benchmarks export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dataset {
    /// Log records.
    Logs,
    /// Spans.
    Traces,
    /// Points of gauges and sums.
    Metrics,
}

impl Dataset {
    /// Returns the name, as a request has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

/// A table layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// The tables of the OpenTelemetry Collector's ClickHouse exporter.
    Otel,
    /// The tables of `TelemetryFlow`.
    Telemetryflow,
}

impl Preset {
    /// Returns the name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Otel => "otel",
            Self::Telemetryflow => "telemetryflow",
        }
    }

    /// Returns the tables of a dataset, each with its time column.
    pub(crate) fn tables(self, dataset: Dataset) -> &'static [(&'static str, &'static str)] {
        match (self, dataset) {
            (Self::Otel, Dataset::Logs) => &[("otel_logs", "Timestamp")],
            (Self::Otel, Dataset::Traces) => &[("otel_traces", "Timestamp")],
            (Self::Otel, Dataset::Metrics) => &[
                ("otel_metrics_gauge", "TimeUnix"),
                ("otel_metrics_sum", "TimeUnix"),
            ],
            (Self::Telemetryflow, Dataset::Logs) => &[("logs_v3", "timestamp")],
            (Self::Telemetryflow, Dataset::Traces) => &[("traces_v3", "timestamp")],
            (Self::Telemetryflow, Dataset::Metrics) => &[("metrics_v3", "timestamp")],
        }
    }

    fn organization(self) -> &'static str {
        match self {
            Self::Otel => "ResourceAttributes['telemetryflow.organization.id']",
            Self::Telemetryflow => "toString(organization_id)",
        }
    }

    /// Creates the tables.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub(crate) async fn create_tables(self, clickhouse: &ClickHouse) -> Result<()> {
        for statement in statements(&script(self.name())?) {
            clickhouse.query(statement, &[]).await?;
        }
        Ok(())
    }

    /// Fills the tables with telemetry of one organization on one day: all of them, or those of
    /// one dataset.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub(crate) async fn seed(
        self,
        clickhouse: &ClickHouse,
        only: Option<Dataset>,
        organization: Uuid,
        day: Day,
        rows: u64,
    ) -> Result<()> {
        let (organization, start) = (organization.to_string(), day.start_sql());
        let rows = rows.to_string();
        let parameters = [
            ("organization", organization.as_str()),
            ("start", &start),
            ("seconds", SECONDS_PER_DAY),
            ("rows", &rows),
        ];
        for statement in statements(&script(&format!("{}_sample", self.name()))?) {
            let wanted = only.is_none_or(|dataset| {
                let mut tables = self.tables(dataset).iter();
                tables.any(|(table, _)| inserts_into(statement) == Some(table))
            });
            if wanted {
                clickhouse.query(statement, &parameters).await?;
            }
        }
        Ok(())
    }

    /// Returns a query of all that an export of a day has, with parameters as [`Self::count`] has
    /// them.
    pub(crate) fn select(self, dataset: Dataset, by_time: bool) -> String {
        let tables = self.tables(dataset);
        let branches = tables.iter().map(|(table, time)| {
            let columns = match *table {
                "otel_logs" => "* EXCEPT TimestampTime",
                "otel_metrics_gauge" => {
                    "'gauge' AS kind, *, NULL AS temporality, NULL AS monotonic"
                }
                "otel_metrics_sum" => {
                    "'sum' AS kind, * EXCEPT (AggregationTemporality, IsMonotonic), \
                     AggregationTemporality AS temporality, IsMonotonic AS monotonic"
                }
                _ => "*",
            };
            // The table of logs is ordered by the seconds of their time, as the catalogue knows too.
            let coarse = Some("TimestampTime").filter(|_| *table == "otel_logs");
            let within = [*time].into_iter().chain(coarse).map(|time| {
                format!(
                    " AND {time} >= {{start:DateTime64(9, 'UTC')}} \
                     AND {time} < {{start:DateTime64(9, 'UTC')}} + INTERVAL 1 DAY"
                )
            });
            format!(
                "SELECT {columns} FROM {table} WHERE {} = {{organization:String}}{}",
                self.organization(),
                within.collect::<String>()
            )
        });
        let rows = branches.collect::<Vec<_>>().join("\nUNION ALL\n");
        match tables {
            [(_, time), ..] if by_time => format!("SELECT * FROM (\n{rows}\n) ORDER BY {time}"),
            _ => rows,
        }
    }

    /// Counts the rows that an export of a whole day must have.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub(crate) async fn count(
        self,
        clickhouse: &ClickHouse,
        dataset: Dataset,
        organization: Uuid,
        day: Day,
    ) -> Result<u64> {
        let (organization, start) = (organization.to_string(), day.start_sql());
        let parameters = [("organization", organization.as_str()), ("start", &start)];
        let mut rows = 0;
        for (table, time) in self.tables(dataset) {
            let sql = format!(
                "WITH {{start:DateTime64(9, 'UTC')}} AS start
                SELECT count() FROM {table}
                WHERE {} = {{organization:String}}
                AND {time} >= start AND {time} < start + INTERVAL 1 DAY",
                self.organization()
            );
            rows += clickhouse.number(&sql, &parameters).await?;
        }
        Ok(rows)
    }
}

fn inserts_into(statement: &str) -> Option<&str> {
    let (_, rest) = statement.split_once("INSERT INTO ")?;
    rest.split(|c: char| c.is_whitespace() || c == '(').next()
}

fn script(name: &str) -> Result<String> {
    let path = cargo::root().join(format!("crates/devstack/sql/{name}.sql"));
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
