//! Values at the edge of their types, in each format to the last digit.

use anyhow::Result;
use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use e2e::{Api, World};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::files;

const PRESET: (&str, &str) = ("EXPORT__DATASETS__PRESET", "telemetryflow");

/// Runs an INSERT whose `{organization:String}` is ours.
async fn insert(world: &World, sql: &str) -> Result<()> {
    let organization = world.ours.organization.to_string();
    world
        .clickhouse
        .run(sql, &[("organization", &organization)])
        .await?;
    Ok(())
}

/// Exports and returns the bytes of the file.
async fn export(api: &Api, changes: Value) -> Result<Vec<u8>> {
    let mut body = json!({"compression": "none"});
    for (name, value) in changes.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let job = api.completed(&api.accepted(&body).await?).await?;
    Ok(api.download(&job).await?.bytes)
}

#[tokio::test]
async fn numbers_times_and_nulls() -> Result<()> {
    let world = World::new().await?;
    insert(
        &world,
        "INSERT INTO metrics_v3 (timestamp, metric_type, value, organization_id, workspace_id, tenant_id) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + INTERVAL number NANOSECOND, number % 4 + 1, \
         arrayElement([nan, inf, -inf, 0.1, -0., 1e300, 5e-324, 123456789012345680., NULL], number + 1), {organization:String}, \
         if(number = 0, toUUID('6b1f3c52-6f0a-4c1e-9d3b-00000000000a'), NULL), \
         [NULL, '', 'NULL', 'a,b'][number % 4 + 1] FROM numbers(9)",
    )
    .await?;
    let api = world.api(&[PRESET]).await?;
    let _worker = world.worker(&[PRESET]).await?;
    let metrics = json!({
        "data_type": "metrics",
        "columns": ["timestamp", "metric_type", "value", "workspace_id", "tenant_id"],
    });
    let of = |name: &str, value: Value| {
        let mut body = metrics.clone();
        body["format"] = json!(name);
        body["options"] = value;
        body
    };

    let csv = export(&api, of("csv", json!({}))).await?;
    let expected = [
        "timestamp,metric_type,value,workspace_id,tenant_id",
        "2026-01-01T00:00:00.000000000Z,gauge,NaN,6b1f3c52-6f0a-4c1e-9d3b-00000000000a,",
        "2026-01-01T00:00:00.000000001Z,sum,Infinity,,\"\"",
        "2026-01-01T00:00:00.000000002Z,histogram,-Infinity,,NULL",
        "2026-01-01T00:00:00.000000003Z,summary,0.1,,\"a,b\"",
        "2026-01-01T00:00:00.000000004Z,gauge,-0.0,,",
        "2026-01-01T00:00:00.000000005Z,sum,1e+300,,\"\"",
        "2026-01-01T00:00:00.000000006Z,histogram,5e-324,,NULL",
        "2026-01-01T00:00:00.000000007Z,summary,1.2345678901234568e+17,,\"a,b\"",
        "2026-01-01T00:00:00.000000008Z,gauge,,,",
        "",
    ];
    let csv = String::from_utf8(csv)?;
    assert_eq!(csv.split("\r\n").collect::<Vec<_>>(), expected);

    let csv = export(
        &api,
        of("csv", json!({"csv": {"null": "NULL", "delimiter": "\t"}})),
    )
    .await?;
    let csv = String::from_utf8(csv)?;
    let tenants: Vec<_> = csv
        .split("\r\n")
        .skip(1)
        .take(4)
        .map(|line| line.rsplit('\t').next())
        .collect();
    assert_eq!(
        tenants,
        [Some("NULL"), Some(""), Some("\"NULL\""), Some("a,b")]
    );

    let lines = files::json_lines(&export(&api, of("json", json!({}))).await?)?;
    assert_eq!(
        lines[0],
        json!({
            "timestamp": "2026-01-01T00:00:00.000000000Z", "metric_type": "gauge", "value": null,
            "workspace_id": "6b1f3c52-6f0a-4c1e-9d3b-00000000000a", "tenant_id": null,
        })
    );
    let values: Vec<_> = lines.iter().map(|line| line["value"].as_f64()).collect();
    let finite = [0.1, -0.0, 1e300, 5e-324, 123_456_789_012_345_680.0].map(Some);
    assert_eq!(values, [&[None; 3][..], &finite, &[None]].concat());
    assert_eq!(lines[1]["tenant_id"], "");

    let parquet = bytes::Bytes::from(export(&api, of("parquet", json!({}))).await?);
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(parquet)?.build()?;
    let batch = reader.next().expect("a batch")?;
    let values = batch.column(2).as_primitive::<Float64Type>();
    let bits: Vec<_> = values.iter().map(|value| value.map(f64::to_bits)).collect();
    let exact = [f64::INFINITY, f64::NEG_INFINITY]
        .into_iter()
        .chain(finite.into_iter().flatten());
    let exact: Vec<_> = exact
        .map(|value| Some(value.to_bits()))
        .chain([None])
        .collect();
    assert!(values.value(0).is_nan());
    assert_eq!(bits[1..], exact);
    assert_eq!(
        batch.column(4).null_count(),
        3,
        "NULL is not the empty text"
    );
    Ok(())
}

#[tokio::test]
async fn large_integers_and_bytes_that_are_no_text() -> Result<()> {
    let world = World::new().await?;
    insert(
        &world,
        "INSERT INTO traces_v3 (timestamp, span_name, duration_nano, organization_id, status_code, status_message, \
         span_attributes, events.timestamp, events.name, events.attributes) \
         SELECT toDateTime64('2026-01-01 23:59:59.999999999', 9, 'UTC') - number, \
         concat('caf', unhex('C3A9'), unhex('FF'), '\\0', unhex('E282'), '!'), \
         [18446744073709551615, 9007199254740993][number + 1], {organization:String}, 'ERROR', NULL, \
         map('k\"\\\\\\n', 'v '), [toDateTime64('1969-12-31 23:59:59.999999999', 9, 'UTC')], ['e'], [map()] FROM numbers(2)",
    )
    .await?;
    let api = world.api(&[PRESET]).await?;
    let _worker = world.worker(&[PRESET]).await?;
    let columns = [
        "timestamp",
        "span_name",
        "duration_nano",
        "status_message",
        "attributes",
        "events",
    ];
    let name = "café\u{fffd}\0\u{fffd}!";
    let row = |timestamp: &str, duration: u64| {
        json!({
            "timestamp": timestamp, "span_name": name, "duration_nano": duration, "status_message": null,
            "attributes": {"k\"\\\n": "v\u{2028}"},
            "events": [{"timestamp": "1969-12-31T23:59:59.999999999Z", "name": "e", "attributes": {}}],
        })
    };
    let expected = [
        row("2026-01-01T23:59:58.999999999Z", 9_007_199_254_740_993),
        row("2026-01-01T23:59:59.999999999Z", u64::MAX),
    ];
    let body = |format: &str| json!({"data_type": "traces", "format": format, "columns": columns});

    let lines = export(&api, body("json")).await?;
    assert_eq!(files::json_lines(&lines)?, expected);
    let text = String::from_utf8(lines)?;
    let first = text.lines().next().unwrap_or_default();
    let places: Vec<_> = columns
        .iter()
        .map(|name| first.find(&format!("\"{name}\":")))
        .collect();
    assert!(
        places.is_sorted(),
        "members stand in the order of the columns: {first}"
    );

    assert_eq!(
        files::parquet(export(&api, body("parquet")).await?)?,
        expected
    );

    let mut csv = body("csv");
    csv["options"] = json!({"csv": {"null": files::NULL}});
    assert_eq!(files::csv(&export(&api, csv).await?, &expected)?, expected);
    Ok(())
}
