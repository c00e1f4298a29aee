//! Plans cover every row once, in slices of about the right size.

use chrono::{DateTime, Utc};
use serde_json::json;
use source::{PlanOptions, TELEMETRYFLOW_PRESET};

use crate::support::{Database, END, START, read};

const TELEMETRYFLOW: &str = include_str!("../../../devstack/sql/telemetryflow.sql");
const SAMPLE: &str = include_str!("../../../devstack/sql/telemetryflow_sample.sql");

const OPTIONS: PlanOptions = PlanOptions {
    target_slice_rows: 5_000,
    counted_among: None,
};

/// Counts one block in eight of [`MANY`] rows.
const SOME: PlanOptions = PlanOptions {
    target_slice_rows: 20_000,
    counted_among: Some(50_000),
};

const MANY: u64 = 400_000;

/// Inserts [`MANY`] rows of seven services, as many at any time.
async fn insert_many(database: &Database) {
    let insert = format!(
        "INSERT INTO logs_v3 (timestamp, service_name, organization_id, body) SELECT \
         fromUnixTimestamp64Milli(1767225600000 + toInt64(number * 86400000 / {MANY}), 'UTC'), \
         concat('service-', toString(number % 7)), '{}', toString(number) FROM numbers({MANY});\n",
        database.organization
    );
    database.run(&insert).await;
}

/// Plans, reads each slice by itself, and returns how many rows each had.
async fn rows_of_slices(
    database: &Database,
    filters: serde_json::Value,
    options: &PlanOptions,
) -> (u64, Vec<usize>) {
    let query = database.query(
        "logs",
        &json!({"columns": ["timestamp"], "filters": filters}),
    );
    let plan = database.source().plan(&query, options).await.unwrap();
    assert_eq!(
        plan.slices[0].start(),
        START.parse::<DateTime<Utc>>().unwrap()
    );
    assert_eq!(
        plan.slices[plan.slices.len() - 1].end(),
        END.parse::<DateTime<Utc>>().unwrap()
    );
    let mut rows = Vec::new();
    for (index, slice) in plan.slices.iter().enumerate() {
        if let Some(next) = plan.slices.get(index + 1) {
            assert_eq!(slice.end(), next.start());
        }
        rows.push(
            read(&database.source(), &query, *slice)
                .await
                .unwrap()
                .num_rows(),
        );
    }
    (plan.rows_estimated, rows)
}

#[tokio::test]
async fn even_rows_make_even_slices() {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    database.sample(SAMPLE, database.organization, 30_000).await;
    let (estimated, rows) = rows_of_slices(&database, json!({}), &OPTIONS).await;
    assert_eq!(estimated, 30_000);
    assert_eq!(rows.iter().sum::<usize>(), 30_000);
    assert!(
        rows.len() <= 7 && rows.iter().all(|rows| *rows <= 5_000),
        "{rows:?}"
    );
    let (estimated, rows) =
        rows_of_slices(&database, json!({"severity_text": "ERROR"}), &OPTIONS).await;
    assert_eq!(rows.iter().sum::<usize>() as u64, estimated);
    assert!(estimated > 1_000 && rows.len() == 1, "{rows:?}");
}

#[tokio::test]
async fn of_many_rows_some_are_counted() {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    insert_many(&database).await;
    let (estimated, rows) = rows_of_slices(&database, json!({}), &SOME).await;
    assert!(
        estimated != MANY && estimated.abs_diff(MANY) < MANY / 4,
        "{estimated}"
    );
    assert_eq!(rows.iter().sum::<usize>() as u64, MANY);
    assert!(
        rows.len() > 10 && rows.iter().all(|rows| *rows <= 40_000),
        "{rows:?}"
    );
}

#[tokio::test]
async fn a_burst_among_many_rows_is_cut() {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    // All of them within a minute of the day.
    let insert = format!(
        "INSERT INTO logs_v3 (timestamp, service_name, organization_id, body) SELECT \
         fromUnixTimestamp64Micro(1767258000000000 + toInt64(number * 60000000 / {MANY}), 'UTC'), \
         'api', '{}', toString(number) FROM numbers({MANY});\n",
        database.organization
    );
    database.run(&insert).await;
    let options = PlanOptions {
        target_slice_rows: 100_000,
        counted_among: Some(200_000),
    };
    let (estimated, rows) = rows_of_slices(&database, json!({}), &options).await;
    assert!(estimated != MANY, "some are counted");
    assert!(rows.iter().all(|rows| *rows <= 200_000), "{rows:?}");
}

#[tokio::test]
async fn a_few_rows_among_many_are_all_counted() {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    insert_many(&database).await;
    let filters = json!({"field": "body", "op": "starts_with", "value": "3999"});
    let (estimated, rows) = rows_of_slices(&database, filters, &SOME).await;
    assert_eq!((estimated, rows), (111, vec![111]));
}

#[tokio::test]
async fn what_has_no_blocks_is_counted_whole() {
    let mut database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    insert_many(&database).await;
    database
        .run("RENAME TABLE logs_v3 TO stored;\nCREATE VIEW logs_v3 AS SELECT * FROM stored;\n")
        .await;
    database.look().await;
    let (estimated, rows) = rows_of_slices(&database, json!({}), &SOME).await;
    assert_eq!(estimated, MANY);
    assert_eq!(rows.iter().sum::<usize>() as u64, MANY);
}

#[tokio::test]
async fn a_burst_is_cut_finely() {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    // 50,000 rows within 50 ms of a day, and 6,000 at one nanosecond.
    let insert = format!(
        "INSERT INTO logs_v3 (timestamp, service_name, organization_id, body) SELECT \
         fromUnixTimestamp64Nano(1767258000000000000 + toInt64(if(number < 50000, number * 1000, 99000000)), 'UTC'), \
         'api', '{}', toString(number) FROM numbers(56000);\n",
        database.organization
    );
    database.run(&insert).await;
    let (estimated, rows) = rows_of_slices(&database, json!({}), &OPTIONS).await;
    assert_eq!(estimated, 56_000);
    assert_eq!(rows.iter().sum::<usize>(), 56_000);
    let (largest, others) = rows.split_last().unwrap();
    assert_eq!(*largest, 6_000, "rows of one time cannot be cut");
    assert!(others.iter().all(|rows| *rows <= 5_000), "{rows:?}");
}

#[tokio::test]
async fn no_rows_are_one_slice() {
    let database = Database::create(TELEMETRYFLOW_PRESET, TELEMETRYFLOW).await;
    assert_eq!(
        rows_of_slices(&database, json!({}), &OPTIONS).await,
        (0, vec![0])
    );
}
