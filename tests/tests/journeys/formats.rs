//! Every dataset in every format says what ClickHouse says.

use anyhow::{Result, ensure};
use e2e::World;
use serde_json::{Value, json};

use crate::{files, reference};

const ROWS: u64 = 3_000;

/// Exports a dataset in all formats and compares each file with ClickHouse.
async fn every_format(preset: &str, datasets: &[&str]) -> Result<()> {
    let world = World::new().await?;
    world.seed(preset, &world.ours, ROWS).await?;
    world.seed(preset, &world.theirs, 100).await?;
    let settings = [
        ("EXPORT__DATASETS__PRESET", preset),
        // Several slices of several blocks each.
        ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "1000"),
        ("EXPORT__PIPELINE__BLOCK_ROWS", "300"),
        ("EXPORT__PIPELINE__ROW_GROUP_ROWS", "300"),
    ];
    let api = world.api(&settings).await?;
    let _worker = world.worker(&settings).await?;
    for dataset in datasets {
        let rows = reference::rows(&world.clickhouse, preset, dataset, &world.ours).await?;
        ensure!(rows.len() >= 200, "{} rows of {dataset}", rows.len());
        for format in ["csv", "json", "parquet"] {
            let mut body = json!({"data_type": dataset, "format": format});
            if format == "csv" {
                // An auditor compares the text as it is, and tells NULL from an empty text.
                body["options"] = json!({"csv": {"escape_formulas": false, "null": files::NULL}});
            }
            let id = api.accepted(&body).await?;
            let job = api.completed(&id).await?;
            ensure!(job["file"]["rows"] == rows.len(), "{job}");
            ensure!(
                job["rows_exported"] == rows.len() && job["rows_estimated"] == rows.len(),
                "{job}"
            );
            let file = api.download(&job).await?.bytes;
            let file = match format {
                "csv" => files::csv(&files::gunzip(&file)?, &rows)?,
                "json" => files::json_lines(&files::gunzip(&file)?)?,
                _ => files::parquet(file)?,
            };
            reference::check(file, rows.clone())
                .map_err(|error| error.context(format!("{preset} {dataset} {format}")))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn otel_logs_and_traces() -> Result<()> {
    every_format("otel", &["logs", "traces"]).await
}

#[tokio::test]
async fn otel_metrics() -> Result<()> {
    every_format("otel", &["metrics", "metrics_histogram"]).await
}

#[tokio::test]
async fn telemetryflow() -> Result<()> {
    every_format("telemetryflow", &["logs", "traces", "metrics"]).await
}

/// Exports what `body` says, and returns the file with its name and its type.
async fn export(api: &e2e::Api, body: Value) -> Result<(String, String, Vec<u8>)> {
    let job = api.completed(&api.accepted(&body).await?).await?;
    let file = api.download(&job).await?;
    let name = job["file"]["name"].as_str().unwrap_or_default().to_owned();
    Ok((name, file.content_type, file.bytes))
}

#[tokio::test]
async fn options_and_compression() -> Result<()> {
    let world = World::new().await?;
    let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, Body, SeverityNumber, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number AS t, t, \
         ['=1+1', 'a;b', 'say \"hi\"\nnow', ''][number + 1], 9, \
         map('telemetryflow.organization.id', {organization:String}) FROM numbers(4)";
    let organization = world.ours.organization.to_string();
    world
        .clickhouse
        .run(sql, &[("organization", &organization)])
        .await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let columns = json!(["body", "severity_number"]);
    let stem = "logs_20260101T000000Z_20260102T000000Z";

    let options = json!({"csv": {"delimiter": ";"}});
    let body = json!({"columns": columns, "options": options, "compression": "none"});
    let (name, kind, bytes) = export(&api, body).await?;
    assert_eq!(
        (name, kind.as_str()),
        (
            format!("{stem}.csv"),
            "text/csv; charset=utf-8; header=present"
        )
    );
    assert_eq!(
        String::from_utf8(bytes)?,
        "body;severity_number\r\n\"'=1+1\";9\r\n\"a;b\";9\r\n\"say \"\"hi\"\"\nnow\";9\r\n\"\";9\r\n"
    );

    let options = json!({"json": {"layout": "array"}});
    let body =
        json!({"format": "json", "columns": columns, "options": options, "compression": "zstd"});
    let (name, kind, bytes) = export(&api, body).await?;
    assert_eq!(
        (name, kind.as_str()),
        (format!("{stem}.json.zst"), "application/zstd")
    );
    let rows: Value = serde_json::from_slice(&zstd::decode_all(&*bytes)?)?;
    assert_eq!(rows[0], json!({"body": "=1+1", "severity_number": 9}));
    assert_eq!(rows.as_array().map(Vec::len), Some(4));

    let (name, kind, bytes) = export(&api, json!({"columns": columns})).await?;
    assert_eq!(
        (name, kind.as_str()),
        (format!("{stem}.csv.gz"), "application/gzip")
    );
    assert!(files::gunzip(&bytes)?.starts_with(b"body,severity_number\r\n"));

    for codec in ["zstd", "snappy", "gzip", "none"] {
        let options = json!({"parquet": {"compression": codec}});
        let body = json!({"format": "parquet", "columns": columns, "options": options});
        let (name, kind, bytes) = export(&api, body).await?;
        assert_eq!(
            (name, kind.as_str()),
            (format!("{stem}.parquet"), "application/vnd.apache.parquet")
        );
        assert_eq!(
            files::parquet(bytes)?[1],
            json!({"body": "a;b", "severity_number": 9})
        );
    }
    Ok(())
}

#[tokio::test]
async fn no_rows_are_a_valid_file() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let columns = json!(["timestamp", "body"]);
    let of = |format: &str| json!({"format": format, "columns": columns});

    let (_, _, csv) = export(&api, of("csv")).await?;
    assert_eq!(
        String::from_utf8(files::gunzip(&csv)?)?,
        "timestamp,body\r\n"
    );
    let (_, _, lines) = export(&api, of("json")).await?;
    assert_eq!(files::gunzip(&lines)?, b"");
    let mut array = of("json");
    array["options"] = json!({"json": {"layout": "array"}});
    let (_, _, array) = export(&api, array).await?;
    assert_eq!(
        serde_json::from_slice::<Value>(&files::gunzip(&array)?)?,
        json!([])
    );
    let (_, _, parquet) = export(&api, of("parquet")).await?;
    assert!(files::parquet(parquet)?.is_empty());
    let mails = world.mails(4).await?;
    assert!(
        mails[0].text.contains("No row matched."),
        "{}",
        mails[0].text
    );
    Ok(())
}

#[tokio::test]
async fn a_row_of_twenty_megabytes() -> Result<()> {
    const BYTES: usize = 20_000_000;
    let world = World::new().await?;
    let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, Body, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 12:00:00', 9, 'UTC') + number AS t, t, \
         if(number = 1, arrayStringConcat(arrayMap(x -> repeat('log\\n', 1000000), range(5))), 'small'), \
         map('telemetryflow.organization.id', {organization:String}) FROM numbers(3)";
    let organization = world.ours.organization.to_string();
    world
        .clickhouse
        .run(sql, &[("organization", &organization)])
        .await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    for format in ["csv", "json", "parquet"] {
        let (_, _, bytes) = export(&api, json!({"format": format, "columns": ["body"]})).await?;
        let like = [json!({"body": ""})];
        let rows = match format {
            "csv" => files::csv(&files::gunzip(&bytes)?, &like)?,
            "json" => files::json_lines(&files::gunzip(&bytes)?)?,
            _ => files::parquet(bytes)?,
        };
        let lengths: Vec<_> = rows
            .iter()
            .map(|row| row["body"].as_str().map(str::len))
            .collect();
        assert_eq!(lengths, [Some(5), Some(BYTES), Some(5)], "{format}");
    }
    Ok(())
}
