//! Filters and columns choose what stands in a file.

use anyhow::Result;
use e2e::World;
use serde_json::{Value, json};

use crate::files;

const NASTY: &str = r#"it's "quoted" \ back\\slash, {curly} %_ 100% ; -- /* tab	newline
ünïcode 🦀"#;

#[tokio::test]
async fn both_forms_choose_the_rows() -> Result<()> {
    let world = World::new().await?;
    let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, ServiceName, SeverityNumber, Body, LogAttributes, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number AS t, t, \
         if(number < 5, 'checkout', 'cart'), number, if(number = 3, {nasty:String}, concat('line ', toString(number))), \
         if(number % 2 = 0, map('http.route', concat('/', toString(number))), map()), \
         map('telemetryflow.organization.id', {organization:String}) FROM numbers(10)";
    let organization = world.ours.organization.to_string();
    let nasty = NASTY
        .replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n");
    world
        .clickhouse
        .run(sql, &[("organization", &organization), ("nasty", &nasty)])
        .await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let cases: [(Value, &[u64]); 11] = [
        (json!({"service_name": "checkout"}), &[0, 1, 2, 3, 4]),
        (
            json!({"service_name": "checkout", "severity_number": [1, 2, 7]}),
            &[1, 2],
        ),
        (json!({"body": NASTY}), &[3]),
        (
            json!({"attributes.http.route": ["/4", "/6", "/7"]}),
            &[4, 6],
        ),
        (
            json!({"field": "severity_number", "op": "gte", "value": 8}),
            &[8, 9],
        ),
        (
            json!({"field": "body", "op": "contains", "value": "\\ back\\\\slash"}),
            &[3],
        ),
        (
            json!({"field": "body", "op": "icontains", "value": "LINE 7"}),
            &[7],
        ),
        (
            json!({"field": "body", "op": "matches", "value": "^line [12]$"}),
            &[1, 2],
        ),
        (
            json!({"not": {"field": "attributes.http.route", "op": "exists"}}),
            &[1, 3, 5, 7, 9],
        ),
        (
            json!({"all": [
                {"any": [
                    {"field": "severity_number", "op": "lt", "value": 2},
                    {"field": "body", "op": "ends_with", "value": "9"},
                ]},
                {"field": "severity_number", "op": "not_in", "value": [0]},
            ]}),
            &[1, 9],
        ),
        (json!({"any": []}), &[]),
    ];
    for (filters, expected) in cases {
        let body = json!({"format": "json", "filters": filters, "columns": ["severity_number"]});
        let job = api.completed(&api.accepted(&body).await?).await?;
        assert_eq!(job["filters"], filters, "shown as it was posted");
        let rows = files::json_lines(&files::gunzip(&api.download(&job).await?.bytes)?)?;
        let numbers: Vec<_> = rows
            .iter()
            .filter_map(|row| row["severity_number"].as_u64())
            .collect();
        assert_eq!(numbers, expected, "{filters}");
    }
    Ok(())
}

#[tokio::test]
async fn columns_stand_in_the_order_of_the_request() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let body = json!({"columns": ["body", "timestamp", "attributes"], "compression": "none"});
    let job = api.completed(&api.accepted(&body).await?).await?;
    assert_eq!(
        api.download(&job).await?.bytes,
        b"body,timestamp,attributes\r\n"
    );
    Ok(())
}
