//! Texts that mean to be more than texts, in every place of a request, on the real engine: beside rows of
//! another organization, none of which may ever be counted or stand in a file.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use e2e::{Api, World};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::files;

/// What breaks out of quotes, names, parameters, patterns and the formats that parameters have.
const INJECTIONS: [&str; 14] = [
    "' OR 1=1 --",
    "') OR (1=1",
    "\\' OR 1=1 --",
    "\\",
    "'",
    "''",
    "` OR 1=1 --",
    "\" OR 1=1 --",
    "x\n' OR 1=1 #\t\\N",
    "'] OR 1=1 OR ['",
    "{organization:String}",
    "} OR 1=1 --",
    "'; DROP TABLE otel_logs; --",
    "' UNION ALL SELECT * FROM otel_logs --",
];

/// Rows of each dataset that are ours.
const OURS: u64 = 7;

/// How many conditions a filter may have here: one for each column and operator.
const LIMIT: (&str, &str) = ("EXPORT__LIMITS__MAX_FILTER_CONDITIONS", "1000");

/// Sends a request for an export of the day that the samples are of.
async fn send(api: &Api, path: &str, changes: &Value) -> Result<(StatusCode, Value)> {
    let mut body = json!({
        "data_type": "logs", "format": "json",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
    });
    for (name, value) in changes.as_object().context("an object")? {
        body[name] = value.clone();
    }
    let answer = api.send(Method::POST, path, Some(&body)).await?;
    Ok((answer.status(), answer.json().await?))
}

/// Returns a condition for each operator of each column, all of them with a text.
fn conditions(dataset: &Value, text: &str) -> Result<Vec<Value>> {
    let mut conditions = Vec::new();
    for column in dataset["columns"].as_array().context("columns")? {
        let name = column["name"].as_str().context("a name")?;
        let field = match column["has_keys"].as_bool() {
            Some(true) => format!("{name}.{text}"),
            _ => name.to_owned(),
        };
        for op in column["operators"].as_array().context("operators")? {
            let value = match op.as_str() {
                Some("in" | "not_in") => json!([text, "and", text]),
                Some("exists") => json!(false),
                _ => json!(text),
            };
            conditions.push(json!({ "field": field, "op": op, "value": value }));
        }
    }
    Ok(conditions)
}

/// Takes out the conditions that are refused, since their column has another type than text or the text
/// is no pattern, and returns how many rows there are for any of the others and for none of them.
async fn count(api: &Api, data_type: &Value, conditions: &mut Vec<Value>) -> Result<(u64, u64)> {
    let path = "/api/v1/export/estimate";
    let rows = |estimate: &Value| {
        ensure!(estimate["exact"] == true, "{estimate}");
        estimate["rows"].as_u64().context("rows")
    };
    loop {
        let any = json!({ "any": conditions });
        let changes = json!({ "data_type": data_type, "filters": any });
        let (status, answer) = send(api, path, &changes).await?;
        if status == StatusCode::OK {
            let changes = json!({ "data_type": data_type, "filters": { "not": any } });
            let (status, none) = send(api, path, &changes).await?;
            ensure!(status == StatusCode::OK, "{status}: {none}");
            return Ok((rows(&answer)?, rows(&none)?));
        }
        ensure!(
            status == StatusCode::UNPROCESSABLE_ENTITY,
            "{status}: {answer}"
        );
        let mut refused = BTreeSet::new();
        for error in answer["errors"].as_array().context("errors")? {
            let pointer = error["pointer"].as_str().context("a pointer")?;
            let index = pointer
                .strip_prefix("/filters/any/")
                .context(pointer.to_owned())?;
            let (index, member) = index.split_once('/').context(pointer.to_owned())?;
            ensure!(member.starts_with("value"), "{error}");
            refused.insert(index.parse::<usize>()?);
        }
        ensure!(!refused.is_empty(), "{answer}");
        for index in refused.iter().rev() {
            conditions.remove(*index);
        }
    }
}

/// Sends every injection to every operator of every column of a preset, and exports what is let through.
async fn attack(preset: &str) -> Result<()> {
    let world = World::new().await?;
    world.seed(preset, &world.ours, OURS).await?;
    world.seed(preset, &world.theirs, 50).await?;
    let settings = [LIMIT, ("EXPORT__DATASETS__PRESET", preset)];
    let api = world.api(&settings).await?;
    let jobs = [settings[0], settings[1], ("EXPORT__WORKER__JOBS", "4")];
    let _worker = world.worker(&jobs).await?;
    let (_, offer) = api.get("/api/v1/export/datasets").await?;
    let mut exports = Vec::new();
    for dataset in offer["datasets"].as_array().context("datasets")? {
        let name = &dataset["name"];
        let whole = json!({ "data_type": name });
        let (status, all) = send(&api, "/api/v1/export/estimate", &whole).await?;
        ensure!(status == StatusCode::OK, "{name}: {all}");
        let ours = all["rows"].as_u64().context("rows")?;
        for injection in INJECTIONS {
            let mut conditions = conditions(dataset, injection)?;
            let (any, none) = count(&api, name, &mut conditions).await?;
            assert!(conditions.len() > 10, "{name} {injection}: {conditions:?}");
            assert_eq!(any + none, ours, "{name} {injection}");
            let filters = json!({ "any": conditions });
            let body = json!({ "data_type": name, "format": "json", "filters": filters });
            exports.push((api.accepted(&body).await?, any, injection));
        }
    }
    let theirs = world.theirs.organization.to_string();
    for (id, rows, injection) in exports {
        let job = api.completed(&id).await?;
        assert_eq!(job["file"]["rows"], rows, "{injection}");
        let file = files::gunzip(&api.download(&job).await?.bytes)?;
        assert!(!String::from_utf8(file)?.contains(&theirs), "{injection}");
    }
    world.check_invariants().await
}

#[tokio::test]
async fn no_filter_breaks_out_of_the_collectors_tables() -> Result<()> {
    attack("otel").await
}

#[tokio::test]
async fn no_filter_breaks_out_of_the_platforms_tables() -> Result<()> {
    attack("telemetryflow").await
}

#[tokio::test]
async fn names_are_found_or_refused() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let mut shorthand = Map::new();
    for injection in INJECTIONS {
        shorthand.insert(format!("body{injection}"), json!(injection));
        let nowhere = json!({ "field": injection, "op": "eq", "value": 1 });
        let hidden = format!("body` FROM otel_logs {injection}");
        for (changes, pointer) in [
            (json!({ "data_type": injection }), "/data_type"),
            (json!({ "format": injection }), "/format"),
            (
                json!({ "start_time": format!("2026-01-01T00:00:00Z{injection}") }),
                "/start_time",
            ),
            (json!({ "end_time": injection }), "/end_time"),
            (json!({ "columns": ["body", injection] }), "/columns/1"),
            (json!({ "columns": [hidden] }), "/columns/0"),
            (
                json!({ "filters": { "all": [nowhere] } }),
                "/filters/all/0/field",
            ),
            (
                json!({ "filters": { "field": "body", "op": injection, "value": "x" } }),
                "/filters/op",
            ),
            (
                json!({ "options": { "order": injection } }),
                "/options/order",
            ),
        ] {
            for path in ["/api/v1/export", "/api/v1/export/estimate"] {
                let (status, answer) = send(&api, path, &changes).await?;
                assert_eq!(
                    status,
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "{changes}: {answer}"
                );
                let errors = answer["errors"].as_array().context("errors")?;
                let is_told = errors.iter().any(|error| error["pointer"] == pointer);
                assert!(is_told, "{changes}: {answer}");
            }
        }
    }
    let (status, answer) = send(&api, "/api/v1/export", &json!({ "filters": shorthand })).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answer["errors"].as_array().context("errors")?;
    assert_eq!(errors.len(), INJECTIONS.len(), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_pattern_that_the_engine_does_not_take_is_no_fault_of_ours() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let mut refused = 0;
    for pattern in [
        "a{1001}",
        "(?:a{1000}){2}",
        "\\p{Greek}+",
        "\\p{Letter}",
        "[a-z&&[^b]]",
        "(?x) a b # comment",
        "\\u{61}",
        "\\x{10FFFF}",
        "\\b{start}a",
        "(?<name>a)",
        "(?R)a",
        "[[:^alpha:]]",
        "(?s-u:.)",
    ] {
        let filters = json!({ "field": "body", "op": "matches", "value": pattern });
        let changes = json!({ "filters": filters });
        let (status, answer) = send(&api, "/api/v1/export/estimate", &changes).await?;
        if status == StatusCode::OK {
            continue;
        }
        refused += 1;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{pattern}: {answer}"
        );
        let pointer = answer["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(pointer.starts_with("/filters"), "{pattern}: {answer}");
        // An export tells in the end, if it could not tell at once.
        let (status, job) = send(&api, "/api/v1/export", &changes).await?;
        if status == StatusCode::ACCEPTED {
            let job = api.failed(job["job_id"].as_str().context("an id")?).await?;
            assert_eq!(job["error"]["code"], "source_rejected", "{pattern}");
        } else if status != StatusCode::UNPROCESSABLE_ENTITY {
            bail!("{pattern}: {status} {job}");
        }
    }
    assert!(refused > 0, "the engine takes all that we do");
    Ok(())
}

#[tokio::test]
async fn no_cell_is_a_formula() -> Result<()> {
    let world = World::new().await?;
    let formulas = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
    ];
    let organization = world.ours.organization.to_string();
    for formula in formulas {
        let escaped = formula.replace('\t', "\\t").replace('\r', "\\r");
        let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, ServiceName, Body, LogAttributes, ResourceAttributes) \
             SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') AS t, t, {formula:String}, {formula:String}, \
             map({formula:String}, {formula:String}), map('telemetryflow.organization.id', {organization:String})";
        let parameters = [("organization", &*organization), ("formula", &*escaped)];
        world.clickhouse.run(sql, &parameters).await?;
    }
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    for delimiter in [",", ";", "\t"] {
        let body = json!({
            "compression": "none", "options": { "csv": { "delimiter": delimiter } },
            "columns": ["service_name", "body", "attributes", "severity_number"],
        });
        let job = api.completed(&api.accepted(&body).await?).await?;
        let file = api.download(&job).await?.bytes;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter.as_bytes()[0])
            .from_reader(&*file);
        let mut rows = 0;
        for record in reader.records() {
            for cell in &record? {
                let begins = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
                assert!(!begins, "{delimiter:?}: {cell:?}");
            }
            rows += 1;
        }
        assert_eq!(rows, formulas.len());
    }
    Ok(())
}
