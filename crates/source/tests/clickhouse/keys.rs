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

/// Keys, each with how many of 100,000 rows may be looked at for ten minutes of a day, where a
/// granule has 128.
const KEYS: [(&str, &str, &str, u64); 9] = [
    (
        "",
        "toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp",
        "toDate(Timestamp)",
        1_500,
    ),
    (
        "",
        "ServiceName, toDateTime(Timestamp), Timestamp",
        "toDate(Timestamp)",
        4_000,
    ),
    (
        "",
        "ServiceName, toUnixTimestamp(Timestamp), TraceId",
        "toYYYYMM(Timestamp)",
        4_000,
    ),
    (
        "",
        "ServiceName, toUnixTimestamp64Nano(Timestamp)",
        "toDate(Timestamp)",
        4_000,
    ),
    (
        "",
        "toStartOfHour(Timestamp), ServiceName, Timestamp",
        "toDate(Timestamp)",
        25_000,
    ),
    (
        "",
        "toDate(Timestamp), ServiceName, Timestamp",
        "tuple()",
        4_000,
    ),
    (
        "TimestampTime DateTime DEFAULT toDateTime(Timestamp),",
        "ServiceName, TimestampTime, Timestamp",
        "toDate(TimestampTime)",
        4_000,
    ),
    (
        "TimestampTime DateTime DEFAULT toDateTime(Timestamp),",
        "toStartOfFiveMinutes(TimestampTime), ServiceName, TimestampTime",
        "toDate(TimestampTime)",
        1_500,
    ),
    (
        "TimestampDate Date DEFAULT toDate(Timestamp), TimestampTime DateTime DEFAULT toDateTime(Timestamp),",
        "TimestampDate, TimestampTime",
        "toYYYYMM(TimestampDate)",
        1_500,
    ),
];

#[tokio::test]
async fn every_key_that_is_made_of_the_time_is_used() {
    for (columns, sorting, partition, most) in KEYS {
        for zone in ["", ", 'Asia/Kathmandu'", ", 'America/St_Johns'"] {
            let ddl = format!(
                "CREATE TABLE otel_logs (Timestamp DateTime64(9{zone}), {columns} TraceId String, \
                 ServiceName LowCardinality(String), Body String, \
                 ResourceAttributes Map(LowCardinality(String), String)) ENGINE = MergeTree \
                 PARTITION BY {partition} ORDER BY ({sorting}) SETTINGS index_granularity = 128;\n"
            );
            let database = Database::create(OTEL_PRESET, &ddl).await;
            fill(&database, 100_000).await;
            let query = of_ten_minutes(&database);
            let rows = database.rows(&query).await.num_rows();
            assert_eq!(rows, 694, "{sorting} {zone}");
            let looked_at = looked_at(&database, &query).await;
            assert!(looked_at <= most, "{sorting} {zone}: {looked_at}");
        }
    }
}

#[tokio::test]
async fn an_alias_for_old_readers_is_not_taken_for_a_key() {
    let ddl = LOGS_0_151.replacen(
        "TraceId String",
        "TimestampTime DateTime ALIAS toDateTime(Timestamp), TraceId String",
        1,
    );
    let database = Database::create(OTEL_PRESET, &ddl).await;
    fill(&database, 100_000).await;
    let query = of_ten_minutes(&database);
    assert!(!query.sql().contains("TimestampTime"), "{}", query.sql());
    assert_eq!(database.rows(&query).await.num_rows(), 694);
    assert!(looked_at(&database, &query).await <= 8_192);
}
