//! Users with the profiles of production: what they forbid is not sent, and nothing is short without a word.

use domain::{Classify, ErrorClass, ErrorCode};
use serde_json::json;
use source::{ClickHouse, ClickHouseConfig, OTEL_PRESET, SourceError};

use crate::support::{Database, read};

const OTEL: &str = include_str!("../../../devstack/sql/otel.sql");
const SAMPLE: &str = include_str!("../../../devstack/sql/otel_sample.sql");

const ROWS: u64 = 20_000;

fn as_user(db: &Database, user: &str) -> ClickHouse {
    let config = ClickHouseConfig {
        user: user.to_owned(),
        ..db.config.clone()
    };
    ClickHouse::new(&config).unwrap()
}

async fn logs() -> Database {
    let db = Database::create(OTEL_PRESET, OTEL).await;
    db.sample(SAMPLE, db.organization, ROWS).await;
    db
}

#[tokio::test]
async fn a_limit_of_a_profile_is_an_error_and_no_short_file() {
    let db = logs().await;
    let query = db.query("logs", &json!({}));
    for user in ["bounded_result", "bounded_read"] {
        let clickhouse = as_user(&db, user);
        clickhouse.ping().await.unwrap();
        let error = read(&clickhouse, &query, query.range()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SourceLimit, "{user}: {error}");
    }
}

/// Each of these users may do so little with settings that some are left out.
#[tokio::test]
async fn a_user_who_may_only_select_exports_every_row() {
    let db = logs().await;
    let query = db.query("logs", &json!({}));
    let expected = read(&db.source(), &query, query.range()).await.unwrap();
    assert_eq!(expected.num_rows() as u64, ROWS);
    for user in [
        "select_only",
        "select_only_short",
        "constrained",
        "proxied",
        "short",
    ] {
        let clickhouse = as_user(&db, user);
        clickhouse.ping().await.unwrap();
        let rows = read(&clickhouse, &query, query.range()).await.unwrap();
        assert!(rows == expected, "{user}");
    }
}

#[tokio::test]
async fn a_profile_that_shortens_answers_and_cannot_be_overruled_is_refused() {
    let db = logs().await;
    let query = db.query("logs", &json!({}));
    for (user, missing) in [
        ("select_only_partial", "skip_unavailable_shards = 0"),
        ("proxied_short", "limit = 0, offset = 0"),
        ("proxied_later", "limit = 0, offset = 0"),
        ("select_only_plain", "enable_http_compression = 1"),
    ] {
        let clickhouse = as_user(&db, user);
        for error in [
            clickhouse.ping().await.unwrap_err(),
            read(&clickhouse, &query, query.range()).await.unwrap_err(),
        ] {
            assert!(matches!(error, SourceError::Unsafe(_)), "{user}: {error}");
            assert_eq!(error.class(), ErrorClass::TRANSIENT);
            let told = format!("the profile of the clickhouse user must say: {missing}");
            assert_eq!(error.to_string(), told);
        }
        assert_eq!(clickhouse.missing_settings().join(", "), missing);
    }
}

/// A setting that nobody here knows of leaves out rows: the numbers give it away, whichever order is asked for.
#[tokio::test]
async fn a_slice_with_fewer_rows_than_were_counted_is_an_error() {
    let db = logs().await;
    let clickhouse = as_user(&db, "filtered");
    clickhouse.ping().await.unwrap();
    for order in ["time", "storage"] {
        let query = db.query("logs", &json!({ "options": { "order": order } }));
        let error = read(&clickhouse, &query, query.range()).await.unwrap_err();
        let SourceError::Short { read, counted } = error else {
            panic!("{order}: {error}");
        };
        assert_eq!(counted, ROWS, "{order}");
        assert!(read < ROWS, "{order}: {read}");
        assert_eq!(error.class(), ErrorClass::TRANSIENT);
    }
}
