//! A window of time makes ClickHouse read only what can have rows of it, whatever the key, and no
//! row is lost by that.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use source::{OTEL_PRESET, Query};

use crate::support::Database;

const LOGS_0_151: &str = include_str!("../../../devstack/sql/otel_0_151.sql");

/// One row each 0.864 s, of eight services.
async fn fill(database: &Database, rows: u64) {
    let insert = format!(
        "INSERT INTO otel_logs (Timestamp, ServiceName, Body, ResourceAttributes) SELECT \
         fromUnixTimestamp64Nano(1767225600000000000 + toInt64(number) * 864000001, 'UTC'), \
         concat('service-', toString(number % 8)), toString(number), \
         map('telemetryflow.organization.id', '{}') FROM numbers({rows});\n",
        database.organization
    );
    database.run(&insert).await;
}

fn of_ten_minutes(database: &Database) -> Query {
    database.query(
        "logs",
        &json!({
            "columns": ["body"],
            "start_time": "2026-01-01T12:00:00.5Z", "end_time": "2026-01-01T12:10:00Z",
        }),
    )
}

/// What `EXPLAIN ESTIMATE` says of a table: database, name, parts, rows and marks.
type Estimate = (String, String, u64, u64, u64);

/// The rows that ClickHouse looks at for a query.
async fn looked_at(database: &Database, query: &Query) -> u64 {
    let mut explain = database
        .client
        .query_raw(&format!("EXPLAIN ESTIMATE {}", query.sql()))
        .param("organization", database.organization.to_string());
    for hours in [0, 2, 30] {
        let margin = TimeDelta::hours(hours);
        let suffix = if hours == 0 {
            String::new()
        } else {
            format!("_{hours}h")
        };
        let text = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M:%S%.9f").to_string();
        explain = explain
            .param(
                &format!("start{suffix}"),
                text(query.range().start() - margin),
            )
            .param(&format!("end{suffix}"), text(query.range().end() + margin));
    }
    let estimates: Vec<Estimate> = explain.fetch_all().await.unwrap();
    estimates.iter().map(|(.., rows, _)| rows).sum()
}

#[tokio::test]
async fn ten_minutes_of_a_day_are_one_granule_of_todays_collector() {
    let database = Database::create(OTEL_PRESET, LOGS_0_151).await;
    fill(&database, 100_000).await;
    let query = of_ten_minutes(&database);
    assert_eq!(database.rows(&query).await.num_rows(), 694);
    assert!(looked_at(&database, &query).await <= 8_192);
}
