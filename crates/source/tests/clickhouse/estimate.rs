//! What an export would read: counted in time, bounded otherwise, measured by a few rows.

use std::time::{Duration, Instant};

use serde_json::json;
use source::{RowCount, Sample, SourceError, TELEMETRYFLOW_PRESET};
use uuid::Uuid;

use crate::support::Database;

const TELEMETRYFLOW: &str = include_str!("../../../devstack/sql/telemetryflow.sql");
const SAMPLE: &str = include_str!("../../../devstack/sql/telemetryflow_sample.sql");

const LONG: Duration = Duration::from_secs(30);

/// A dataset of which ClickHouse reads 20 rows in a second.
const SLOW: &str = r#"
    [logs]
    table = "slow_logs"
    time = "timestamp"
    tenant = "organization_id"
    order_by = []
    columns = [
        { name = "body", type = "string" },
        { name = "slow", type = "uint8", sql = "sleepEachRow(0.05)" },
    ]
"#;

const SLOW_TABLE: &str = "CREATE TABLE slow_logs (timestamp DateTime64(9, 'UTC'), \
    organization_id String, body String) ENGINE = MergeTree ORDER BY timestamp;\n";

/// Makes 50 rows of the slow dataset.
async fn slow() -> Database {
    let mut database = Database::create(SLOW, SLOW_TABLE).await;
    // ClickHouse lets no block sleep for longer than 3 s.
    database.config.max_block_rows = 1;
    let insert = format!(
        "INSERT INTO slow_logs SELECT toDateTime64('2026-01-01 12:00:00', 9, 'UTC'), '{}', 'abc' \
         FROM numbers(50);\n",
        database.organization
    );
    database.run(&insert).await;
    database
}

#[tokio::test]
async fn the_organizations_rows_are_counted_and_measured() {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    database.sample(SAMPLE, database.organization, 3_000).await;
    let neighbour = Uuid::new_v4().into();
    database.sample(SAMPLE, neighbour, 500).await;
    let source = database.source();
    for (changes, organization, rows) in [
        (json!({}), database.organization, 3_000),
        (json!({}), neighbour, 500),
        (json!({}), Uuid::new_v4().into(), 0),
        (
            json!({"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-02T00:00:00Z"}),
            neighbour,
            0,
        ),
    ] {
        for dataset in ["logs", "metrics", "traces"] {
            let query = database.query_of(organization, dataset, &changes);
            let count = source.count(&query, LONG).await.unwrap().unwrap();
            assert!(count.is_exact);
            let sample = source.sample(&query, LONG).await.unwrap();
            assert_eq!(sample.rows, count.rows.min(1_000), "{dataset} {changes}");
            assert_eq!(sample.bytes > 0, sample.rows > 0);
            if dataset == "logs" {
                assert_eq!(count.rows, rows, "{changes}");
            }
        }
    }
}

#[tokio::test]
async fn only_the_columns_of_the_file_are_measured() {
    let database = slow().await;
    let query = database.query("logs", &json!({"columns": ["body"]}));
    let sample = database.source().sample(&query, LONG).await.unwrap();
    // A text has its length besides its bytes.
    let Sample { rows: 50, bytes } = sample else {
        panic!("{sample:?}")
    };
    assert!((50 * 3..=50 * 16).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn what_takes_too_long_is_bounded() {
    let database = slow().await;
    let query = database.query("logs", &json!({"filters": {"slow": 0}}));
    let limit = Duration::from_millis(300);
    let begin = Instant::now();
    let count = database.source().count(&query, limit).await.unwrap();
    let bound = RowCount {
        rows: 50,
        is_exact: false,
    };
    assert_eq!(count, Some(bound));
    let sample = database.source().sample(&query, limit).await.unwrap();
    assert_eq!(sample, Sample { rows: 0, bytes: 0 });
    let elapsed = begin.elapsed();
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
}

#[tokio::test]
async fn a_table_that_tells_nothing_has_no_bound() {
    let database = slow().await;
    // EXPLAIN ESTIMATE knows tables of the family MergeTree only.
    database
        .run(
            "CREATE TABLE others ENGINE = Memory AS SELECT * FROM slow_logs;\n\
             DROP TABLE slow_logs;\nRENAME TABLE others TO slow_logs;\n",
        )
        .await;
    let query = database.query("logs", &json!({"filters": {"slow": 0}}));
    let limit = Duration::from_millis(300);
    assert_eq!(database.source().count(&query, limit).await.unwrap(), None);
}

#[tokio::test]
async fn a_query_that_is_refused_has_no_estimate() {
    let database = slow().await;
    database.run("DROP TABLE slow_logs;\n").await;
    let query = database.query("logs", &json!({}));
    let source = database.source();
    let refused = source.count(&query, LONG).await.unwrap_err();
    assert!(matches!(refused, SourceError::Engine(_)), "{refused:?}");
    let refused = source.sample(&query, LONG).await.unwrap_err();
    assert!(matches!(refused, SourceError::Engine(_)), "{refused:?}");
}
