//! A dataset is what the preset names and ClickHouse has.

use std::collections::HashMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, TimestampNanosecondType, UInt32Type};
use domain::{ExportRequest, Narrowing, RequestLimits, Violation};
use serde_json::{Value, json};
use source::{LiveCatalogue, OTEL_PRESET, Preset, TELEMETRYFLOW_PRESET};

use crate::support::{Database, END, START};

const OTEL: &str = include_str!("../../../devstack/sql/otel.sql");
const OTEL_2023: &str = include_str!("../../../devstack/sql/otel_2023.sql");
const OTEL_2023_ODD: &str = include_str!("../../../devstack/sql/otel_2023_odd.sql");
const OTEL_JSON: &str = include_str!("../../../devstack/sql/otel_json.sql");
const OTEL_JSON_ODD: &str = include_str!("../../../devstack/sql/otel_json_odd.sql");

/// What is wrong with a request, as its sender reads it.
fn refused(database: &Database, data_type: &str, changes: &Value) -> Vec<String> {
    let mut body = json!({
        "data_type": data_type, "format": "json", "start_time": START, "end_time": END,
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    let request = ExportRequest::parse(&body, &RequestLimits::NONE).unwrap();
    let narrowed_to = Narrowing::default();
    let organization = database.organization;
    let resolved = database
        .catalogue
        .resolve(&request, organization, &narrowed_to);
    let violations = resolved.err().unwrap_or_default();
    violations.iter().map(Violation::to_string).collect()
}

fn lacks(database: &Database) -> Vec<String> {
    let lacks = database.catalogue.lacks().iter();
    lacks
        .map(|lack| format!("{}: {}", lack.dataset, lack.what))
        .collect()
}

#[tokio::test]
async fn columns_and_datasets_come_and_go_with_the_tables() {
    let mut database = Database::create(OTEL_PRESET, OTEL).await;
    assert_eq!(
        lacks(&database),
        [
            "logs: column event_name",
            "metrics_exponential_histogram: table otel_metrics_exp_histogram",
            "profiles: table otel_profiles"
        ]
    );
    let wrong = refused(
        &database,
        "logs",
        &json!({"columns": ["body", "event_name"]}),
    );
    assert!(
        wrong[0].starts_with("/columns/1: is unknown; known are timestamp,"),
        "{wrong:?}"
    );
    let offered = "logs, metrics, metrics_exponential_histogram, metrics_histogram, \
                   metrics_summary, traces";
    assert_eq!(
        refused(&database, "profiles", &json!({})),
        [format!(
            "/data_type: is not available: ClickHouse has no table otel_profiles; \
             available are {offered}"
        )]
    );

    database
        .run("ALTER TABLE otel_logs ADD COLUMN EventName String;\nDROP TABLE otel_metrics_sum;\n")
        .await;
    database.look().await;
    assert_eq!(
        lacks(&database),
        [
            "metrics: table otel_metrics_sum",
            "metrics_exponential_histogram: table otel_metrics_exp_histogram",
            "profiles: table otel_profiles"
        ]
    );
    let columns = json!({"columns": ["body", "event_name"]});
    assert_eq!(refused(&database, "logs", &columns), [""; 0]);
    // Gauges alone.
    let metrics = database.query("metrics", &json!({}));
    assert!(!metrics.sql().contains("UNION ALL"));
    assert_eq!(database.rows(&metrics).await.num_rows(), 0);
}

#[tokio::test]
async fn without_tables_nothing_is_offered() {
    let mut database = Database::create(TELEMETRYFLOW_PRESET, "").await;
    let none = "/data_type: is not available: ClickHouse has no table logs_v3 or logs; \
                available are none";
    assert_eq!(refused(&database, "logs", &json!({})), [none]);
    database.config.database.push_str("_of_nobody");
    database.look().await;
    assert_eq!(refused(&database, "logs", &json!({})), [none]);
    assert_eq!(database.catalogue.describe().count(), 0);
}

#[tokio::test]
async fn a_table_without_the_organization_is_not_offered() {
    let ddl = "CREATE TABLE logs (timestamp DateTime64(9), body String) ENGINE = MergeTree ORDER BY timestamp;\n";
    let database = Database::create(TELEMETRYFLOW_PRESET, ddl).await;
    assert_eq!(
        refused(&database, "logs", &json!({})),
        [
            "/data_type: is not available: ClickHouse has no organization_id in the table logs; \
          available are none"
        ]
    );
}

#[tokio::test]
async fn before_a_look_everything_is_taken_and_a_look_that_fails_changes_nothing() {
    let database = Database::create(OTEL_PRESET, "").await;
    let mut config = database.config.clone();
    config.password = "wrong".to_owned().into();
    let away = source::ClickHouse::new(&config).unwrap();
    let preset = Preset::load(&[("otel", OTEL_PRESET)]).unwrap();
    let live = LiveCatalogue::new(preset, away);
    assert_eq!(live.current().describe().count(), 7);
    assert!(live.looked().await.is_err() && live.refresh().await.is_err());
    assert_eq!(live.current().describe().count(), 7);
}

#[tokio::test]
async fn a_live_catalogue_follows_the_tables() {
    let database = Database::create(OTEL_PRESET, OTEL).await;
    let live = LiveCatalogue::new(database.preset.clone(), database.source());
    let before = live.looked().await.unwrap();
    assert_eq!(live.refresh().await.unwrap(), before);
    database.run("DROP TABLE otel_logs;\n").await;
    // The first look was enough for whoever does not ask for another.
    assert_eq!(live.looked().await.unwrap(), before);
    let after = live.refresh().await.unwrap();
    assert_ne!(after, before);
    assert!(after.describe().all(|dataset| dataset.name != "logs"));
    assert_eq!(live.current(), after);
}

/// A row of the year 2299 does not end the export of others, and a time beyond nanoseconds is the last of them.
#[tokio::test]
async fn times_that_are_no_nanoseconds_do_not_end_an_export() {
    let preset = "
[events]
table = \"events\"
time = \"at\"
tenant = \"org\"
order_by = [\"number\"]
columns = [
    { name = \"timestamp\", type = \"timestamp\", sql = \"at\" },
    { name = \"expires\", type = \"timestamp\" },
    { name = \"number\", type = \"uint64\" },
]
";
    for (at, expires, value) in [
        ("DateTime64(3)", "DateTime64(3)", "'2299-01-01 00:00:00'"),
        (
            "DateTime64(6)",
            "Nullable(DateTime64(0))",
            "if(toHour(at) = 12, NULL, '2299-01-01 00:00:00')",
        ),
    ] {
        let ddl = format!(
            "CREATE TABLE events (at {at}, org String, expires {expires}, number UInt64) \
             ENGINE = MergeTree ORDER BY at;\n"
        );
        let database = Database::create(preset, &ddl).await;
        let insert = format!(
            "INSERT INTO events SELECT arrayJoin(['2025-12-31 23:59:59.999', '2026-01-01 00:00:00', \
             '2026-01-01 12:00:00.001', '2026-01-02 00:00:00', '2299-12-31 00:00:00'])::{at} AS at, '{}', \
             {value}, toYear(at) * 100 + toDayOfMonth(at);\n",
            database.organization
        );
        database.run(&insert).await;
        let query = database.query("events", &json!({}));
        let rows = database.rows(&query).await;
        let [times, expiries] = [0, 1].map(|column| {
            let times = rows
                .column(column)
                .as_primitive::<TimestampNanosecondType>();
            times.iter().collect::<Vec<_>>()
        });
        let noon = 1_767_268_800_001_000_000;
        assert_eq!(times, [Some(1_767_225_600_000_000_000), Some(noon)], "{at}");
        let last = Some(9_223_372_036_000_000_000);
        let is_nullable = expires.starts_with("Nullable");
        assert_eq!(expiries, [last, last.filter(|_| !is_nullable)], "{expires}");
        // Bounds between two of the column's times.
        let within = json!({ "start_time": "2026-01-01T12:00:00.0005Z", "end_time": "2026-01-01T12:00:00.0015Z" });
        let query = database.query("events", &within);
        assert_eq!(database.rows(&query).await.num_rows(), 1, "{at}");
        let after = json!({ "field": "expires", "op": "gt", "value": "2261-01-01T00:00:00Z" });
        let query = database.query("events", &json!({ "filters": after }));
        let found = database.rows(&query).await.num_rows();
        assert_eq!(found, if is_nullable { 1 } else { 2 }, "{expires}");
    }
}

/// ClickHouse answers `SELECT 1` all the while.
#[tokio::test]
async fn a_check_asks_what_exports_ask() {
    let database = Database::create(OTEL_PRESET, OTEL).await;
    let live = LiveCatalogue::new(database.preset.clone(), database.source());
    live.check().await.unwrap();
    live.looked().await.unwrap();
    live.check().await.unwrap();
    // What is gone is no reason to call the server down: it is looked for again.
    database.run("DROP TABLE otel_logs;\n").await;
    live.check().await.unwrap();
    assert!(
        live.current()
            .describe()
            .all(|dataset| dataset.name != "logs")
    );
    let view = "CREATE VIEW otel_logs AS SELECT * FROM otel_traces;\nDROP TABLE otel_traces;\n";
    database.run(view).await;
    live.refresh().await.unwrap();
    let error = live.check().await.unwrap_err();
    assert!(error.to_string().contains("UNKNOWN_TABLE"), "{error}");
}

#[tokio::test]
async fn numbers_that_do_not_fit_the_preset_are_whole() {
    let database = Database::create(OTEL_PRESET, OTEL_2023).await;
    database
        .sample(OTEL_2023_ODD, database.organization, 0)
        .await;
    let query = database.query(
        "logs",
        &json!({"columns": ["trace_flags", "severity_number"]}),
    );
    let rows = database.rows(&query).await;
    let flags = rows.column(0).as_primitive::<UInt32Type>();
    assert_eq!(flags.values().to_vec(), [0, 255, 256, u32::MAX]);
    let numbers = rows.column(1).as_primitive::<Int32Type>();
    assert_eq!(numbers.values().to_vec(), [i32::MIN, -1, 255, i32::MAX]);
    // A filter has the type of the server, too.
    let filters = json!({"field": "severity_number", "op": "lt", "value": 0});
    let query = database.query("logs", &json!({"filters": filters}));
    assert_eq!(database.rows(&query).await.num_rows(), 2);
}

/// The bodies of the logs that a filter finds.
async fn found(database: &Database, filters: Value) -> Vec<String> {
    let query = database.query("logs", &json!({"columns": ["body"], "filters": filters}));
    let rows = database.rows(&query).await;
    let bodies = rows.column(0).as_string::<i32>().iter();
    let mut bodies: Vec<_> = bodies.flatten().map(str::to_owned).collect();
    bodies.sort_unstable();
    bodies
}

#[tokio::test]
async fn keys_of_json_attributes_are_filtered() {
    let database = Database::create(OTEL_PRESET, OTEL_JSON).await;
    database
        .sample(OTEL_JSON_ODD, database.organization, 0)
        .await;
    let others = uuid::Uuid::new_v4().into();
    database.sample(OTEL_JSON_ODD, others, 0).await;
    let (nested, escaped) = ("nested by the writer", "dots escaped by the writer");
    let field = |field: &str, op: &str, value: Value| json!({"field": format!("attributes.{field}"), "op": op, "value": value});
    for (filter, bodies) in [
        (
            field("http.route", "exists", json!(true)),
            &["1", escaped, nested][..],
        ),
        (field("http.route", "eq", json!("/a")), &["1"]),
        (field("http.route", "eq", json!("/escaped")), &[escaped]),
        (
            field("http.route", "in", json!(["/a", "/nested"])),
            &["1", nested],
        ),
        (field("http.route", "contains", json!("est")), &[nested]),
        (field("http.route", "starts_with", json!("/e")), &[escaped]),
        (
            field("http.route", "matches", json!("^/[ae]")),
            &["1", escaped],
        ),
        (field("http.status", "gte", json!(200)), &["1"]),
        (field("http.status", "eq", json!("200")), &["1"]),
        (field("http.ok", "eq", json!("true")), &["1"]),
        (field("number", "eq", json!(200)), &["2"]),
        (field("text", "eq", json!(200)), &["2"]),
        (field("deep.er.and.deeper.x", "eq", json!("y")), &["5"]),
        (field("http", "exists", json!(true)), &[]),
        (field("back`tick", "eq", json!("y")), &["4"]),
        (field("umlaut", "icontains", json!("größe")), &["4"]),
        (
            field("http.route", "exists", json!(false)),
            &["0", "2", "3", "4", "5"],
        ),
        (
            json!({"not": field("http.route", "eq", json!("/a"))}),
            &["0", "2", "3", "4", "5", escaped, nested],
        ),
    ] {
        assert_eq!(found(&database, filter.clone()).await, bodies, "{filter}");
    }
    let wrong = field("a.:Int64", "exists", json!(true));
    let wrong = refused(&database, "logs", &json!({"filters": wrong}));
    assert!(wrong[0].contains("\".:\" in its key"), "{wrong:?}");
}

#[tokio::test]
async fn types_of_json_attributes_are_kept_but_in_parquet() {
    let database = Database::create(OTEL_PRESET, OTEL_JSON).await;
    database
        .sample(OTEL_JSON_ODD, database.organization, 0)
        .await;
    for (format, number, text, value_type) in [
        ("json", "200", "\"200\"", "map<string, json>"),
        ("parquet", "200", "200", "map<string, string>"),
    ] {
        let filters = json!({"field": "body", "op": "eq", "value": "2"});
        let body = json!({"columns": ["attributes"], "filters": filters, "format": format});
        let query = database.query("logs", &body);
        assert_eq!(query.columns()[0].value_type, value_type);
        let rows = database.rows(&query).await;
        let entries = rows.column(0).as_map().value(0);
        let texts = |column: usize| entries.column(column).as_string::<i32>().iter();
        let values: HashMap<_, _> = texts(0).flatten().zip(texts(1).flatten()).collect();
        assert_eq!((values["number"], values["text"]), (number, text));
        assert_eq!(values["big"], u64::MAX.to_string());
        assert_eq!(entries.len(), 5);
    }
}

/// A path of JSON takes more values than a key of a map: each table must get its own.
#[tokio::test]
async fn a_filter_means_the_same_in_a_table_with_maps_and_one_with_json() {
    let database = Database::create(OTEL_PRESET, OTEL).await;
    let json_table = OTEL_JSON
        .split(";\n")
        .find(|statement| statement.contains("otel_metrics_sum"))
        .unwrap();
    database
        .run(&format!("DROP TABLE otel_metrics_sum;\n{json_table};\n"))
        .await;
    let organization = database.organization;
    for workspace in ["acme", "globex"] {
        let insert = format!(
            "INSERT INTO otel_metrics_gauge (TimeUnix, MetricName, ResourceAttributes) VALUES \
             ('2026-01-01 00:00:01', '{workspace}', map('telemetryflow.organization.id', '{organization}', 'workspace.id', '{workspace}'));\n\
             INSERT INTO otel_metrics_sum (TimeUnix, MetricName, ResourceAttributes) VALUES \
             ('2026-01-01 00:00:02', '{workspace}', '{{\"telemetryflow\":{{\"organization\":{{\"id\":\"{organization}\"}}}},\"workspace\":{{\"id\":\"{workspace}\"}}}}');\n"
        );
        database.run(&insert).await;
    }
    let mut database = database;
    database.look().await;
    let filters = json!({ "all": [
        { "field": "resource_attributes.workspace.id", "op": "eq", "value": "acme" },
        { "field": "metric_name", "op": "ne", "value": "globex" },
    ] });
    let body = json!({ "columns": ["metric_name"], "filters": filters });
    let rows = database.rows(&database.query("metrics", &body)).await;
    assert_eq!(rows.num_rows(), 2);
    let all = json!({ "columns": ["metric_name"] });
    let all = database.rows(&database.query("metrics", &all)).await;
    assert_eq!(all.num_rows(), 4);
}
