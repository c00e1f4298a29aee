//! Every operator finds the rows that it should, whatever is in the values.

use arrow::array::AsArray;
use serde_json::{Value, json};
use source::OTEL_PRESET;

use crate::support::Database;

const OTEL: &str = include_str!("../../../devstack/sql/otel.sql");

const NASTY: &[&str] = &[
    "it's",
    "say \"hi\"",
    "back\\slash",
    "\\n is no newline",
    "new\nline",
    "tab\tbed",
    "cr\r\n",
    "\u{1}\u{8}",
    "`tick`",
    "{p3:String}",
    "?",
    "%_",
    "' OR 1=1 --",
    "\\'",
    "\\",
    "ünï ☃ 👩‍💻",
    "a=b&c+d%20",
    "\\N",
];

/// Logs whose bodies are these, and whose attributes have the body under `key` and as a key.
async fn logs(bodies: &[&str]) -> Database {
    let database = Database::create(OTEL_PRESET, OTEL).await;
    for (second, body) in bodies.iter().enumerate() {
        let insert = "INSERT INTO otel_logs (Timestamp, ServiceName, SeverityNumber, Body, \
                      ResourceAttributes, LogAttributes) SELECT \
                      toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + {second:UInt32}, 'api', \
                      {second:UInt32}, {body:String}, \
                      map('telemetryflow.organization.id', {organization:String}), \
                      map('key', {body:String}, {body:String}, 'x')";
        database
            .client
            .query_raw(insert)
            .param("second", second)
            .param("body", body)
            .param("organization", database.organization.to_string())
            .execute()
            .await
            .unwrap();
    }
    database
}

async fn bodies(database: &Database, filters: &Value) -> Vec<String> {
    let query = database.query("logs", &json!({"columns": ["body"], "filters": filters}));
    let batch = database.rows(&query).await;
    let bodies = batch.column(0).as_string::<i32>();
    bodies.iter().flatten().map(str::to_owned).collect()
}

#[tokio::test]
async fn nasty_values_find_themselves_and_nothing_else() {
    let database = logs(NASTY).await;
    for nasty in NASTY {
        let only = [(*nasty).to_owned()];
        assert_eq!(bodies(&database, &json!({"body": nasty})).await, only);
        assert_eq!(
            bodies(&database, &json!({"body": [nasty, "no"]})).await,
            only
        );
        assert_eq!(
            bodies(&database, &json!({"attributes.key": nasty})).await,
            only
        );
        let exists = json!({"field": format!("attributes.{nasty}"), "op": "exists"});
        assert_eq!(bodies(&database, &exists).await, only);
        let other = json!({"field": "body", "op": "ne", "value": nasty});
        assert_eq!(bodies(&database, &other).await.len(), NASTY.len() - 1);
        let contains = json!({"field": "body", "op": "contains", "value": nasty});
        assert!(bodies(&database, &contains).await.contains(&only[0]));
    }
}

#[tokio::test]
async fn each_operator_of_text() {
    let database = logs(&["GET /api/cart", "get /API", "POST /api", "ÄRGER", "", "500"]).await;
    for (op, value, expected) in [
        ("eq", json!(""), vec![""]),
        (
            "ne",
            json!(""),
            vec!["GET /api/cart", "get /API", "POST /api", "ÄRGER", "500"],
        ),
        ("in", json!(["", "ÄRGER"]), vec!["ÄRGER", ""]),
        (
            "not_in",
            json!(["", "ÄRGER", "500", "get /API"]),
            vec!["GET /api/cart", "POST /api"],
        ),
        (
            "contains",
            json!("/api"),
            vec!["GET /api/cart", "POST /api"],
        ),
        (
            "icontains",
            json!("/API"),
            vec!["GET /api/cart", "get /API", "POST /api"],
        ),
        ("icontains", json!("ärger"), vec!["ÄRGER"]),
        ("starts_with", json!("GET"), vec!["GET /api/cart"]),
        ("ends_with", json!("/api"), vec!["POST /api"]),
        (
            "matches",
            json!("(?i)^get .*(cart|api)$"),
            vec!["GET /api/cart", "get /API"],
        ),
    ] {
        for field in ["body", "attributes.key"] {
            let filter = json!({"field": field, "op": op, "value": value});
            assert_eq!(bodies(&database, &filter).await, expected, "{filter}");
        }
    }
}

#[tokio::test]
async fn each_operator_of_numbers() {
    let database = logs(&["0", "1", "2", "10", "x"]).await;
    for (op, value, expected) in [
        ("eq", json!(2), vec!["2"]),
        ("in", json!([0, 3]), vec!["0", "10"]),
        ("not_in", json!([0, 1, 3, 4]), vec!["2"]),
        ("gt", json!(2), vec!["10", "x"]),
        ("gte", json!(2), vec!["2", "10", "x"]),
        ("lt", json!(1), vec!["0"]),
        ("lte", json!(1), vec!["0", "1"]),
    ] {
        let filter = json!({"field": "severity_number", "op": op, "value": value});
        assert_eq!(bodies(&database, &filter).await, expected, "{filter}");
    }
    for (op, value, expected) in [
        ("eq", json!(10), vec!["10"]),
        ("ne", json!(10), vec!["0", "1", "2", "x"]),
        ("in", json!([2, 10.0]), vec!["2", "10"]),
        ("gte", json!(1.5), vec!["2", "10"]),
        ("lt", json!(10), vec!["0", "1", "2"]),
    ] {
        let filter = json!({"field": "attributes.key", "op": op, "value": value});
        assert_eq!(bodies(&database, &filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_missing_key_is_not_an_empty_value() {
    let database = logs(&["a"]).await;
    for (filter, rows) in [
        (json!({"attributes.none": ""}), 0),
        (
            json!({"field": "attributes.none", "op": "ne", "value": "x"}),
            1,
        ),
        (
            json!({"not": {"field": "attributes.none", "op": "contains", "value": ""}}),
            1,
        ),
        (json!({"field": "attributes.none", "op": "exists"}), 0),
        (
            json!({"field": "attributes.none", "op": "exists", "value": false}),
            1,
        ),
        (
            json!({"not": {"field": "attributes.none", "op": "lt", "value": 1}}),
            1,
        ),
    ] {
        assert_eq!(bodies(&database, &filter).await.len(), rows, "{filter}");
    }
}

#[tokio::test]
async fn expressions_nest() {
    let database = logs(&["a", "b", "c", "d"]).await;
    let is = |body: &str| json!({"field": "body", "op": "eq", "value": body});
    for (filter, expected) in [
        (json!({"any": [is("a"), is("c")]}), vec!["a", "c"]),
        (
            json!({"not": {"any": [is("a"), {"all": [is("b"), {"not": is("c")}]}]}}),
            vec!["c", "d"],
        ),
        (json!({"all": []}), vec!["a", "b", "c", "d"]),
        (json!({"any": []}), vec![]),
    ] {
        assert_eq!(bodies(&database, &filter).await, expected, "{filter}");
    }
}
