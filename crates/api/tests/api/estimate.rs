//! `POST /api/v1/export/estimate`.

use std::io::Write as _;
use std::time::Duration;

use devstack::Env;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::app::{Answer, NOWHERE, TestApp, minimal};

const PATH: &str = "/api/v1/export/estimate";

/// A table of a test's own, and the preset that has it as `logs`. A filter on `slow` takes 50 ms a row.
struct Table {
    name: String,
    preset: NamedTempFile,
}

impl Table {
    async fn create() -> Self {
        let name = format!("api_{}", Uuid::new_v4().simple());
        clickhouse(&format!(
            "CREATE TABLE {name} (timestamp DateTime64(9, 'UTC'), organization_id String, body String)
             ENGINE = MergeTree ORDER BY timestamp"
        ))
        .await;
        let mut preset = NamedTempFile::new().unwrap();
        write!(
            preset,
            r#"
            [logs]
            table = "{name}"
            time = "timestamp"
            tenant = "organization_id"
            order_by = []
            columns = [
                {{ name = "timestamp", type = "timestamp" }},
                {{ name = "body", type = "string" }},
                {{ name = "slow", type = "uint8", sql = "sleepEachRow(0.05)" }},
            ]
            "#
        )
        .unwrap();
        Self { name, preset }
    }

    async fn insert(&self, organization: Uuid, rows: u64) {
        clickhouse(&format!(
            "INSERT INTO {} SELECT toDateTime64('2026-01-01 12:00:00', 9, 'UTC'), '{organization}', \
             repeat('x', 100) FROM numbers({rows})",
            self.name
        ))
        .await;
    }

    /// Starts an API that exports the table.
    async fn app(&self, change: impl FnOnce(&mut api::Config)) -> TestApp {
        let builder = TestApp::builder().await.with(|config| {
            let preset = self.preset.path().to_str().unwrap();
            preset.clone_into(&mut config.datasets.preset);
            config.clickhouse.max_block_rows = 1;
        });
        builder.with(change).start().await
    }
}

/// Runs a statement, in the database that the API has.
pub(crate) async fn clickhouse(statement: &str) {
    let env = Env::shared();
    let database = [("database", &env.clickhouse_database)];
    let url = Url::parse_with_params(&env.clickhouse_url, database).unwrap();
    let answer = Client::new()
        .post(url)
        .header("X-ClickHouse-User", &env.clickhouse_user)
        .header("X-ClickHouse-Key", &env.clickhouse_password)
        .body(statement.to_owned())
        .send()
        .await
        .unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{text}");
}

async fn estimate(app: &TestApp, changes: &Value) -> Answer {
    let mut body = minimal();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    Answer::to(app.request(Method::POST, PATH).json(&body)).await
}

async fn jobs(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM export_jobs")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn rows_are_counted_and_nothing_is_made() {
    let table = Table::create().await;
    let app = table.app(|_| {}).await;
    table.insert(app.organization, 20).await;
    table.insert(Uuid::new_v4(), 300).await;
    let columns = json!({"columns": ["timestamp", "body"], "compression": "none"});
    let answer = estimate(&app, &columns).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let size = answer.body["size_bytes"].as_u64().unwrap();
    assert!((20 * 50..20 * 200).contains(&size), "{size}");
    insta::assert_json_snapshot!(answer.body, { ".size_bytes" => "[bytes]" });
    assert_eq!(jobs(&app).await, 0);
}

#[tokio::test]
async fn earlier_exports_tell_what_a_row_takes() {
    let table = Table::create().await;
    let app = table.app(|_| {}).await;
    table.insert(app.organization, 112).await;
    // 1,234 bytes for 56 rows.
    app.completed("key", Duration::from_hours(1)).await;
    let answer = estimate(&app, &json!({"filters": {"body": "x".repeat(100)}})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["rows"], 112);
    assert_eq!(answer.body["size_bytes"], 2 * 1234);
    assert_eq!(answer.body["basis"], "exports");
    let columns = json!(["timestamp", "body"]);
    let other = estimate(&app, &json!({"format": "json", "columns": columns})).await;
    assert_eq!(other.body["basis"], "sample", "{}", other.body);
}

#[tokio::test]
async fn a_count_that_takes_too_long_is_a_bound() {
    let table = Table::create().await;
    let app = table
        .app(|config| config.estimate.count_timeout_ms = 200)
        .await;
    table.insert(app.organization, 40).await;
    app.completed("key", Duration::from_hours(1)).await;
    let answer = estimate(&app, &json!({"filters": {"slow": 0}})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(
        (&answer.body["rows"], &answer.body["exact"]),
        (&json!(40), &json!(false))
    );
}

#[tokio::test]
async fn a_request_is_wrong_for_an_estimate_as_for_an_export() {
    let app = TestApp::start().await;
    let wrong = json!({
        "format": "xml", "columns": ["body", "nonsense"], "filters": {"nowhere": 1}, "colour": "red",
    });
    let answer = estimate(&app, &wrong).await;
    answer.assert_problem(422, "invalid_request");
    let mut body = minimal();
    for (name, value) in wrong.as_object().unwrap() {
        body[name] = value.clone();
    }
    assert_eq!(answer.body["errors"], app.post(&body).await.body["errors"]);
    let anonymous = app.anonymous(Method::POST, PATH).json(&minimal());
    Answer::to(anonymous)
        .await
        .assert_problem(401, "token_missing");
    let read = app.get(PATH).await;
    read.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn few_estimates_are_made_at_once() {
    let table = Table::create().await;
    let app = table
        .app(|config| {
            config.estimate.max_concurrent = 1;
            config.estimate.count_timeout_ms = 5_000;
        })
        .await;
    table.insert(app.organization, 40).await;
    let slow = json!({"filters": {"slow": 0}});
    let (one, another) = tokio::join!(estimate(&app, &slow), estimate(&app, &slow));
    let [made, refused] = if one.status == StatusCode::OK {
        [one, another]
    } else {
        [another, one]
    };
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    refused.assert_problem(503, "too_many_estimates");
    assert_eq!(refused.header("retry-after"), "5");
    // There is room again.
    assert_eq!(estimate(&app, &json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_clickhouse_there_are_exports_but_no_estimates() {
    let builder = TestApp::builder().await.with(|config| {
        config.clickhouse.url = format!("http://{NOWHERE}").parse().unwrap();
    });
    let app = builder.start().await;
    let answer = estimate(&app, &json!({})).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    app.create().await;
}
