//! Sources that are no plain `MergeTree`: what cannot be had of them is not asked for, and no row is
//! lost or doubled.

use serde_json::json;
use source::PlanOptions;

use crate::support::Database;

const ROWS: u64 = 300_000;

const PRESET: &str = r#"
    [logs]
    table = "source"
    final = true
    time = "at"
    tenant = "org"
    order_by = ["number"]
    columns = [
        { name = "at", type = "timestamp" },
        { name = "number", type = "uint64" },
        { name = "text", type = "string" },
    ]
"#;

/// Makes `source` from a table `stored` with many rows of one organization.
async fn database(ddl: &str) -> Database {
    let table = "CREATE TABLE stored (at DateTime64(9), org String, number UInt64, text String, \
                 version UInt8) ENGINE = MergeTree ORDER BY (org, at);\n";
    let mut database = Database::create(PRESET, table).await;
    let insert = |org: &str| {
        format!(
            "INSERT INTO stored SELECT fromUnixTimestamp64Micro(1767225600000000 + \
             toInt64(number) * 288000, 'UTC'), '{org}', number, toString(number), 0 \
             FROM numbers({ROWS});\n"
        )
    };
    database
        .run(&insert(&database.organization.to_string()))
        .await;
    database.run(&insert("another")).await;
    database.run(ddl).await;
    database.look().await;
    database
}

/// Counts some rows, then reads all.
async fn check(database: &Database) {
    let query = database.query("logs", &json!({"columns": ["number", "at"]}));
    let options = PlanOptions {
        target_slice_rows: 100_000,
        counted_among: Some(50_000),
    };
    let plan = database.source().plan(&query, &options).await.unwrap();
    assert_eq!(plan.rows_estimated, ROWS);
    let rows = database.rows(&query).await;
    assert_eq!(rows.num_rows() as u64, ROWS);
}

#[tokio::test]
async fn views() {
    let database = database("CREATE VIEW source AS SELECT * FROM stored;\n").await;
    check(&database).await;
}

#[tokio::test]
async fn materialized_views() {
    let ddl = "CREATE MATERIALIZED VIEW source ENGINE = MergeTree ORDER BY at POPULATE \
               AS SELECT * FROM stored;\n";
    check(&database(ddl).await).await;
}

#[tokio::test]
async fn tables_that_merge_others() {
    let ddl = "CREATE TABLE stored_empty AS stored;\n\
               CREATE TABLE source AS stored ENGINE = Merge(currentDatabase(), '^stored');\n";
    check(&database(ddl).await).await;
}

#[tokio::test]
async fn buffers() {
    // Half of the rows are in the buffer and not in the table behind it.
    let ddl = "CREATE TABLE behind AS stored;\n\
               CREATE TABLE source AS stored ENGINE = Buffer(currentDatabase(), behind, 1, 600, 600, 1000000, 1000000, 1000000000, 1000000000);\n\
               INSERT INTO behind SELECT * FROM stored WHERE number % 2 = 0;\n\
               INSERT INTO source SELECT * FROM stored WHERE number % 2 = 1;\n";
    check(&database(ddl).await).await;
}

#[tokio::test]
async fn rows_that_are_yet_to_be_replaced() {
    let ddl = "CREATE TABLE source (at DateTime64(9), org String, number UInt64, text String, version UInt8) \
               ENGINE = ReplacingMergeTree(version) ORDER BY (org, at);\n\
               SYSTEM STOP MERGES source;\n\
               INSERT INTO source SELECT * FROM stored;\n\
               INSERT INTO source SELECT * REPLACE (1 AS version, 'new' AS text) FROM stored WHERE number < 1000;\n";
    let database = database(ddl).await;
    check(&database).await;
    let query = database.query("logs", &json!({"filters": {"text": "new"}}));
    assert_eq!(database.rows(&query).await.num_rows(), 1000);
    let query = database.query("logs", &json!({"filters": {"text": "7"}}));
    assert_eq!(database.rows(&query).await.num_rows(), 0);
}
