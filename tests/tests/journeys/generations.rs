//! Whatever made the tables, their exports say what ClickHouse says.

use anyhow::{Context, Result, ensure};
use e2e::{Api, World};
use serde_json::{Map, Value, json};

use crate::{files, reference};

/// What once made tables, or makes them today.
struct Generation {
    preset: &'static str,
    /// The scripts that create the tables; the first to create a table has its say.
    tables: &'static [&'static str],
    /// The scripts that fill them.
    rows: &'static [&'static str],
    datasets: &'static [&'static str],
    /// By which names the auditor's queries know the tables.
    reference: &'static str,
    /// What the auditor's queries have in place of something.
    replaced: &'static [(&'static str, &'static str)],
}

const OTEL: &[&str] = &[
    "logs",
    "traces",
    "metrics",
    "metrics_histogram",
    "metrics_exponential_histogram",
    "metrics_summary",
];

const OTEL_AND_PROFILES: &[&str] = &[
    "logs",
    "traces",
    "metrics",
    "metrics_histogram",
    "metrics_exponential_histogram",
    "metrics_summary",
    "profiles",
];

/// Exports each dataset in all formats and compares each file with ClickHouse.
async fn check(generation: &Generation) -> Result<()> {
    let world = World::new().await?.with_tables(generation.tables).await?;
    for script in generation.rows {
        world.fill(script, &world.ours, 600).await?;
        world.fill(script, &world.theirs, 20).await?;
    }
    let settings = [
        ("EXPORT__DATASETS__PRESET", generation.preset),
        // Several slices of several blocks each.
        ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "250"),
        ("EXPORT__PIPELINE__BLOCK_ROWS", "100"),
        ("EXPORT__PIPELINE__ROW_GROUP_ROWS", "100"),
    ];
    let api = world.api(&settings).await?;
    let _worker = world.worker(&settings).await?;
    for dataset in generation.datasets {
        let mut query = reference::query(generation.reference, dataset);
        for (from, to) in generation.replaced {
            query = query.replace(from, to);
        }
        let organization = world.ours.organization.to_string();
        let parameters = [("organization", organization.as_str())];
        let rows = world.clickhouse.rows(&query, &parameters).await?;
        let rows: Vec<_> = rows.into_iter().map(flattened).collect();
        ensure!(rows.len() >= 60, "{} rows of {dataset}", rows.len());
        for format in ["csv", "json", "parquet"] {
            let file = export(&api, dataset, format, &rows)
                .await
                .with_context(|| format!("{dataset} {format}"))?;
            let expected = rows.iter().cloned();
            let expected = match format {
                "parquet" => expected.map(with_texts).collect(),
                _ => expected.collect(),
            };
            reference::check(file, expected).with_context(|| format!("{dataset} {format}"))?;
        }
    }
    Ok(())
}

async fn export(api: &Api, dataset: &str, format: &str, like: &[Value]) -> Result<Vec<Value>> {
    let mut body = json!({"data_type": dataset, "format": format});
    if format == "csv" {
        body["options"] = json!({"csv": {"escape_formulas": false, "null": files::NULL}});
    }
    let job = api.completed(&api.accepted(&body).await?).await?;
    let file = api.download(&job).await?.bytes;
    match format {
        "csv" => files::csv(&files::gunzip(&file)?, like),
        "json" => files::json_lines(&files::gunzip(&file)?),
        _ => files::parquet(file),
    }
}

/// Applies a function to the attributes of a row, of its events and of its exemplars.
fn attributes(value: Value, change: fn(Map<String, Value>) -> Map<String, Value>) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| match value {
                Value::Object(attributes) if name.ends_with("attributes") => {
                    (name, Value::Object(change(attributes)))
                }
                value => (name, attributes(value, change)),
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => {
            let items = items.into_iter();
            items.map(|item| attributes(item, change)).collect()
        }
        value => value,
    }
}

/// Joins the paths of nested attributes by dots.
fn flattened(row: Value) -> Value {
    fn add(prefix: &str, members: Map<String, Value>, flat: &mut Map<String, Value>) {
        for (name, value) in members {
            let path = format!("{prefix}{}", name.replace("%2E", "."));
            match value {
                Value::Object(members) => add(&format!("{path}."), members, flat),
                value => {
                    flat.insert(path, value);
                }
            }
        }
    }
    attributes(row, |members| {
        let mut flat = Map::new();
        add("", members, &mut flat);
        flat
    })
}

/// Has texts for all attributes, as in a Parquet file.
fn with_texts(row: Value) -> Value {
    attributes(row, |members| {
        let texts = members.into_iter().map(|(name, value)| match value {
            Value::String(_) => (name, value),
            value => (name, value.to_string().into()),
        });
        texts.collect()
    })
}

#[tokio::test]
async fn collectors_until_the_middle_of_2024() -> Result<()> {
    let generation = Generation {
        preset: "otel",
        tables: &["otel_2023.sql", "otel.sql"],
        rows: &["otel_sample.sql", "otel_2023_odd.sql"],
        datasets: OTEL,
        reference: "otel",
        replaced: &[],
    };
    check(&generation).await
}

#[tokio::test]
async fn collectors_of_some_weeks_of_2024() -> Result<()> {
    let generation = Generation {
        preset: "otel",
        tables: &["otel_0_103.sql", "otel.sql"],
        rows: &["otel_sample.sql"],
        datasets: &["logs"],
        reference: "otel",
        replaced: &[],
    };
    check(&generation).await
}

#[tokio::test]
async fn collectors_until_0_150() -> Result<()> {
    let generation = Generation {
        preset: "otel",
        tables: &["otel.sql"],
        rows: &["otel_sample.sql"],
        datasets: OTEL,
        reference: "otel",
        replaced: &[],
    };
    check(&generation).await
}

const WITH_EVENT_NAME: (&str, &str) = (
    "LogAttributes AS attributes",
    "LogAttributes AS attributes, EventName AS event_name",
);

#[tokio::test]
async fn collectors_from_0_151_on() -> Result<()> {
    let generation = Generation {
        preset: "otel",
        tables: &["otel_0_151.sql", "otel.sql"],
        rows: &["otel_sample.sql", "otel_0_151_odd.sql"],
        datasets: OTEL_AND_PROFILES,
        reference: "otel",
        replaced: &[
            WITH_EVENT_NAME,
            (
                "otel_metrics_exponential_histogram",
                "otel_metrics_exp_histogram",
            ),
        ],
    };
    check(&generation).await
}

#[tokio::test]
async fn collectors_with_json_attributes() -> Result<()> {
    let generation = Generation {
        preset: "otel",
        tables: &["otel_json.sql"],
        rows: &["otel_sample.sql", "otel_json_odd.sql"],
        datasets: OTEL,
        reference: "otel",
        replaced: &[
            WITH_EVENT_NAME,
            ("Map(String, String)", "JSON"),
            (
                "ResourceAttributes['telemetryflow.organization.id'] =",
                "coalesce(ResourceAttributes.telemetryflow.organization.id::Nullable(String), \
                 ResourceAttributes.`telemetryflow%2Eorganization%2Eid`::Nullable(String)) =",
            ),
        ],
    };
    check(&generation).await
}

#[tokio::test]
async fn clickstack() -> Result<()> {
    let generation = Generation {
        preset: "otel",
        tables: &["clickstack.sql", "otel.sql"],
        rows: &["otel_sample.sql"],
        datasets: &["logs"],
        reference: "otel",
        replaced: &[],
    };
    check(&generation).await
}

#[tokio::test]
async fn the_platforms_overview() -> Result<()> {
    let generation = Generation {
        preset: "telemetryflow",
        tables: &["telemetryflow.sql"],
        rows: &["telemetryflow_sample.sql"],
        datasets: &["logs", "metrics", "traces"],
        reference: "telemetryflow",
        replaced: &[],
    };
    check(&generation).await
}

#[tokio::test]
async fn the_platforms_open_core() -> Result<()> {
    let generation = Generation {
        preset: "telemetryflow",
        tables: &["telemetryflow_core.sql"],
        rows: &["telemetryflow_core_sample.sql"],
        datasets: &["logs", "metrics", "traces"],
        reference: "core",
        replaced: &[],
    };
    check(&generation).await
}
