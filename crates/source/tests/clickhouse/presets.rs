//! Both presets against their tables and sample data: every dataset, every column.

use crate::support::Database;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampNanosecondType, UInt64Type};
use domain::OrganizationId;
use serde_json::json;
use source::{OTEL_PRESET, TELEMETRYFLOW_PRESET};
use uuid::Uuid;

const OTEL: &str = include_str!("../../../devstack/sql/otel.sql");
const OTEL_SAMPLE: &str = include_str!("../../../devstack/sql/otel_sample.sql");
const TELEMETRYFLOW: &str = include_str!("../../../devstack/sql/telemetryflow.sql");
const TELEMETRYFLOW_SAMPLE: &str = include_str!("../../../devstack/sql/telemetryflow_sample.sql");

const ROWS: u64 = 30_000;

async fn otel() -> Database {
    let database = Database::create(OTEL_PRESET, OTEL).await;
    database
        .sample(OTEL_SAMPLE, database.organization, ROWS)
        .await;
    database
        .sample(OTEL_SAMPLE, OrganizationId::from(Uuid::new_v4()), 1_000)
        .await;
    database
}

async fn telemetryflow() -> Database {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    database
        .sample(TELEMETRYFLOW_SAMPLE, database.organization, ROWS)
        .await;
    database
        .sample(
            TELEMETRYFLOW_SAMPLE,
            OrganizationId::from(Uuid::new_v4()),
            1_000,
        )
        .await;
    database
}

fn texts(batch: &RecordBatch, column: &str) -> u64 {
    let texts = batch.column_by_name(column).unwrap().as_string::<i32>();
    texts.iter().flatten().map(|text| text.len() as u64).sum()
}

fn entries(batch: &RecordBatch, column: &str) -> usize {
    batch
        .column_by_name(column)
        .unwrap()
        .as_map()
        .entries()
        .len()
}

fn elements(batch: &RecordBatch, column: &str) -> usize {
    batch
        .column_by_name(column)
        .unwrap()
        .as_list::<i32>()
        .values()
        .len()
}

fn numbers(batch: &RecordBatch, column: &str) -> u64 {
    let column = batch.column_by_name(column).unwrap();
    column.as_primitive::<UInt64Type>().values().iter().sum()
}

fn assert_in_time_order(batch: &RecordBatch) {
    let times = batch.column_by_name("timestamp").unwrap();
    let times = times.as_primitive::<TimestampNanosecondType>().values();
    assert!(times.is_sorted());
    assert!(
        times.iter().any(|time| time % 1_000 != 0),
        "nanoseconds are there"
    );
}

#[tokio::test]
async fn each_dataset_of_otel_has_all_rows_of_the_organization() {
    let database = otel().await;
    for (data_type, rows) in [
        ("logs", ROWS),
        ("traces", ROWS),
        ("metrics", ROWS),
        ("metrics_histogram", ROWS / 10),
        ("metrics_exponential_histogram", ROWS / 10),
        ("metrics_summary", ROWS / 10),
    ] {
        let batch = database.rows(&database.query(data_type, &json!({}))).await;
        assert_eq!(batch.num_rows() as u64, rows, "{data_type}");
        assert_in_time_order(&batch);
    }
}

#[tokio::test]
async fn each_dataset_of_telemetryflow_has_all_rows_of_the_organization() {
    let database = telemetryflow().await;
    for data_type in ["logs", "metrics", "traces"] {
        let batch = database.rows(&database.query(data_type, &json!({}))).await;
        assert_eq!(batch.num_rows() as u64, ROWS, "{data_type}");
        assert_in_time_order(&batch);
    }
}

#[tokio::test]
async fn values_are_those_that_clickhouse_counts() {
    let database = otel().await;
    let own = format!(
        "ResourceAttributes['telemetryflow.organization.id'] = '{}'",
        database.organization
    );
    let count = async |what: &str, table: &str| {
        database
            .number(&format!("SELECT toUInt64({what}) FROM {table} WHERE {own}"))
            .await
    };
    let logs = database.rows(&database.query("logs", &json!({}))).await;
    assert_eq!(
        texts(&logs, "body"),
        count("sum(length(Body))", "otel_logs").await
    );
    assert_eq!(
        texts(&logs, "trace_id"),
        count("sum(length(TraceId))", "otel_logs").await
    );
    assert_eq!(
        entries(&logs, "attributes") as u64,
        count("sum(length(LogAttributes))", "otel_logs").await
    );
    let traces = database.rows(&database.query("traces", &json!({}))).await;
    assert_eq!(
        numbers(&traces, "duration_nano"),
        count("sum(Duration)", "otel_traces").await
    );
    assert_eq!(
        elements(&traces, "events") as u64,
        count("sum(length(Events.Name))", "otel_traces").await
    );
    let histograms = database
        .rows(&database.query("metrics_histogram", &json!({})))
        .await;
    assert_eq!(
        numbers(&histograms, "count"),
        count("sum(Count)", "otel_metrics_histogram").await
    );
    assert_eq!(
        elements(&histograms, "bucket_counts"),
        16 * histograms.num_rows()
    );
    assert_eq!(
        elements(&histograms, "explicit_bounds"),
        15 * histograms.num_rows()
    );
}

#[tokio::test]
async fn gauges_and_sums_are_one_dataset() {
    let database = otel().await;
    let query = database.query("metrics", &json!({"filters": {"metric_type": "sum"}}));
    let sums = database.rows(&query).await;
    assert_eq!(sums.num_rows() as u64, ROWS / 2);
    assert_eq!(sums.column_by_name("is_monotonic").unwrap().null_count(), 0);
    let query = database.query("metrics", &json!({"filters": {"metric_type": "gauge"}}));
    let gauges = database.rows(&query).await;
    assert_eq!(gauges.num_rows() as u64, ROWS / 2);
    assert_eq!(
        gauges.column_by_name("is_monotonic").unwrap().null_count(),
        gauges.num_rows()
    );
}

#[tokio::test]
async fn enums_uuids_and_nulls_of_telemetryflow() {
    let database = telemetryflow().await;
    let query = database.query("traces", &json!({"filters": {"status_code": "ERROR"}}));
    let failed = database.rows(&query).await;
    assert!(failed.num_rows() > 0);
    let codes = failed
        .column_by_name("status_code")
        .unwrap()
        .as_string::<i32>();
    assert!(codes.iter().all(|code| code == Some("ERROR")));
    assert_eq!(
        failed
            .column_by_name("status_message")
            .unwrap()
            .null_count(),
        0
    );
    let ids = failed
        .column_by_name("workspace_id")
        .unwrap()
        .as_string::<i32>();
    assert!(ids.null_count() > 0 && ids.null_count() < ids.len());
    assert!(
        ids.iter()
            .flatten()
            .all(|id| id == "6b1f3c52-6f0a-4c1e-9d3b-00000000000a")
    );
    let metrics = database.rows(&database.query("metrics", &json!({}))).await;
    let values = metrics
        .column_by_name("value")
        .unwrap()
        .as_primitive::<Float64Type>();
    let nulls = database
        .number(&format!(
            "SELECT count() FROM metrics_v3 WHERE value IS NULL AND organization_id = '{}'",
            database.organization
        ))
        .await;
    assert!(nulls > 0);
    assert_eq!(values.null_count() as u64, nulls);
}

#[tokio::test]
async fn another_organization_sees_nothing() {
    for (database, data_types) in [
        (otel().await, ["logs", "traces", "metrics"]),
        (telemetryflow().await, ["logs", "traces", "metrics"]),
    ] {
        for data_type in data_types {
            // Not even with a filter that holds for every row.
            let filters = json!({"filters": {"not": {"any": []}}});
            let stranger = OrganizationId::from(Uuid::new_v4());
            let query = database.query_of(stranger, data_type, &filters);
            assert_eq!(database.rows(&query).await.num_rows(), 0, "{data_type}");
        }
    }
}
