//! What earlier attempts have stored cannot be continued: the job starts over, and the file is right.

use std::fs;

use anyhow::{Context, Result};
use e2e::World;
use serde_json::{Value, json};
use sink::UploadId;

use crate::bucket::{Bucket, proxy_before};
use crate::exports::{BYTES_PER_SECOND, SLICES, Slow, ask, checkpoints, events, plain};

/// Has a worker die behind a checkpoint, lets `spoil` make that worthless, and checks that the
/// next one, with `settings` of its own, starts over.
async fn starts_over(
    settings: &[(&str, &str)],
    spoil: impl AsyncFnOnce(&World, &str) -> Result<()>,
) -> Result<()> {
    let slow = Slow::new().await?;
    let first = slow.slow_worker(&[]).await?;
    let id = slow.begun(1).await?;
    first.kill().await?;
    spoil(&slow.world, &id).await?;

    let _second = slow.worker(settings).await?;
    slow.check_completed(&id).await?;
    let events = events(&slow.world, &id).await?;
    assert_eq!(
        events,
        ["requested", "started", "started_over", "completed"]
    );
    Ok(())
}

#[tokio::test]
async fn an_upload_that_the_bucket_has_aborted_is_begun_anew() -> Result<()> {
    starts_over(&[], async |world, id| {
        let sql = "SELECT object_key FROM export_jobs WHERE job_id = $1::uuid";
        let key: String = ask(world, id, sql).await?;
        let sql = "SELECT upload_id FROM export_jobs WHERE job_id = $1::uuid";
        let upload = UploadId::from(ask::<String>(world, id, sql).await?);
        Ok(world.sink().await?.abort_upload(&key, &upload).await?)
    })
    .await
}

#[tokio::test]
async fn a_worker_with_blocks_of_another_size_starts_over() -> Result<()> {
    starts_over(&[("EXPORT__PIPELINE__BLOCK_ROWS", "700")], async |_, _| {
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_upload_of_another_version_of_the_service_is_not_continued() -> Result<()> {
    starts_over(&[], async |world, id| {
        let sql = r#"UPDATE export_jobs SET upload_plan = '{"version": 9, "parts": []}'
                     WHERE job_id = $1::uuid RETURNING job_id::text"#;
        ask::<String>(world, id, sql).await.map(drop)
    })
    .await
}

/// A dataset whose table is a test's own, since the others share theirs.
const PRESET: &str = r#"[logs]
table = "TABLE"
time = "Timestamp"
tenant = "Organization"
order_by = []
columns = [
    { name = "timestamp", type = "timestamp", sql = "Timestamp" },
    { name = "body", type = "string", sql = "Body" },
    { name = "note", type = "string", sql = "Note" },
]
"#;

/// Has a worker die behind a checkpoint of an export from a table of its own, lets `spoil` change
/// the table or the preset, and returns the code with which the job fails then.
async fn fails_after(
    spoil: impl AsyncFnOnce(&World, &str, &std::path::Path) -> Result<()>,
) -> Result<Value> {
    let mut world = World::new().await?;
    let table = format!("logs_{}", world.ours.organization.simple());
    let create = format!(
        "CREATE TABLE {table} ENGINE = MergeTree ORDER BY Timestamp AS
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number AS Timestamp,
                {{organization:String}} AS Organization, randomPrintableASCII(1500) AS Body,
                toString(number) AS Note
         FROM numbers(20000)"
    );
    let organization = world.ours.organization.to_string();
    let parameters = [("organization", organization.as_str())];
    world.clickhouse.run(&create, &parameters).await?;
    let preset = world.dir.path().join("preset.toml");
    fs::write(&preset, PRESET.replace("TABLE", &table))?;
    let (proxy, url) = proxy_before(&world.env.clickhouse_url).await?;
    let bucket = Bucket::start(&mut world).await?;
    let preset_path = preset.to_str().context("a path")?;
    let settings = [
        &SLICES[..],
        &[
            ("EXPORT__DATASETS__PRESET", preset_path),
            ("EXPORT__CLICKHOUSE__URL", &url),
        ],
    ]
    .concat();
    let api = world.api(&settings).await?;
    let first = world.worker(&settings).await?;
    proxy.throttle(BYTES_PER_SECOND);
    let mut body = plain();
    body["columns"] = json!(["timestamp", "body", "note"]);
    let id = api.accepted(&body).await?;
    checkpoints(&world, &id, 1).await?;
    first.kill().await?;
    proxy.heal().await?;
    spoil(&world, &table, &preset).await?;

    let _second = world.worker(&settings).await?;
    let job = api.failed(&id).await?;
    world.check_invariants().await?;
    assert_eq!(bucket.objects()?, [""; 0]);
    world
        .clickhouse
        .run(&format!("DROP TABLE {table}"), &[])
        .await?;
    Ok(job["error"]["code"].clone())
}

#[tokio::test]
async fn a_table_that_has_lost_a_column_fails_the_job_that_names_it() -> Result<()> {
    let code = fails_after(async |world, table, _| {
        let alter = format!("ALTER TABLE {table} DROP COLUMN Note");
        world.clickhouse.run(&alter, &[]).await.map(drop)
    });
    assert_eq!(code.await?, json!("dataset_changed"));
    Ok(())
}

#[tokio::test]
async fn a_dataset_that_is_there_no_more_fails_the_job() -> Result<()> {
    let code = fails_after(async |_, _, preset| {
        let other = fs::read_to_string(preset)?.replace("[logs]", "[records]");
        Ok(fs::write(preset, other)?)
    });
    assert_eq!(code.await?, json!("dataset_changed"));
    Ok(())
}
