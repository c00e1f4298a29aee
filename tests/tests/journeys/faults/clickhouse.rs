//! ClickHouse fails, and there is never a short file.

use anyhow::{Context, Result};
use devstack::Proxy;
use e2e::{World, eventually};
use serde_json::json;

use crate::bucket::proxy_before;
use crate::{files, reference};

/// Puts a proxy before ClickHouse, for the binaries that start from now on.
async fn proxied(world: &mut World) -> Result<Proxy> {
    let (proxy, url) = proxy_before(&world.env.clickhouse_url).await?;
    world.env.clickhouse_url = url;
    Ok(proxy)
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 500).await?;
    let proxy = proxied(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    proxy.refuse().await;
    let id = api.accepted(&json!({})).await?;
    let mut postgres = world.postgres().await?;
    eventually("a second attempt", async || {
        let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM export_jobs")
            .fetch_one(&mut postgres)
            .await?;
        Ok((attempts > 1).then_some(()))
    })
    .await?;
    let waiting = api.job(&id).await?;
    assert_ne!(
        waiting["status"], "FAILED",
        "only the last attempt may say so"
    );
    proxy.heal().await?;
    assert_eq!(api.completed(&id).await?["file"]["rows"], 500);
    Ok(())
}

#[tokio::test]
async fn attempts_end_with_a_reason() -> Result<()> {
    let mut world = World::new().await?;
    let proxy = proxied(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world
        .worker(&[("EXPORT__RETRY__MAX_ATTEMPTS", "2")])
        .await?;
    proxy.refuse().await;
    let job = api.failed(&api.accepted(&json!({})).await?).await?;
    assert_eq!(job["error"]["code"], "source_unavailable");
    assert_eq!(job["file"], json!(null));
    let mails = world.mails(1).await?;
    assert!(mails[0].subject.contains("failed"), "{}", mails[0].subject);
    assert!(
        mails[0].text.contains("source_unavailable"),
        "{}",
        mails[0].text
    );
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_gives_a_whole_file() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 20_000).await?;
    let rows = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    let proxy = proxied(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world
        .worker(&[("EXPORT__RETRY__MAX_ATTEMPTS", "50")])
        .await?;
    for bytes in [1, 400, 1_000, 70_000, 1_000_000, 2_000_000] {
        proxy.cut_once_after(bytes);
        let job = api
            .completed(&api.accepted(&json!({"format": "json"})).await?)
            .await?;
        let file = files::json_lines(&files::gunzip(&api.download(&job).await?.bytes)?)?;
        reference::check(file, rows.clone()).with_context(|| format!("cut after {bytes}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_that_stalls_is_given_up_and_read_again() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 20_000).await?;
    let proxy = proxied(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world
        .worker(&[("EXPORT__CLICKHOUSE__IDLE_TIMEOUT_MS", "500")])
        .await?;
    proxy.stall_after(1_000_000);
    let id = api.accepted(&json!({})).await?;
    let mut postgres = world.postgres().await?;
    eventually("a second attempt", async || {
        let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM export_jobs")
            .fetch_one(&mut postgres)
            .await?;
        Ok((attempts > 1).then_some(()))
    })
    .await?;
    proxy.heal().await?;
    assert_eq!(api.completed(&id).await?["file"]["rows"], 20_000);
    Ok(())
}

#[tokio::test]
async fn an_exception_in_the_middle_of_the_answer_fails_the_job() -> Result<()> {
    let world = World::new().await?;
    let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, SeverityNumber, Body, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number / 10 AS t, t, number % 24, \
         toString(number), map('telemetryflow.organization.id', {organization:String}) FROM numbers(400000)";
    let organization = world.ours.organization.to_string();
    world
        .clickhouse
        .run(sql, &[("organization", &organization)])
        .await?;
    let preset = world.dir.path().join("broken.toml");
    std::fs::write(
        &preset,
        r#"[logs]
table = "otel_logs"
time = "Timestamp"
tenant = "ResourceAttributes['telemetryflow.organization.id']"
order_by = []
columns = [
    { name = "timestamp", type = "timestamp", sql = "Timestamp" },
    { name = "body", type = "string", sql = "if(throwIf(Body = '390000') = 0, Body, '')" },
]
"#,
    )?;
    let settings = [
        (
            "EXPORT__DATASETS__PRESET",
            preset.to_str().context("a path")?,
        ),
        ("EXPORT__RETRY__MAX_ATTEMPTS", "2"),
    ];
    let api = world.api(&settings).await?;
    let _worker = world.worker(&settings).await?;
    let job = api.failed(&api.accepted(&json!({})).await?).await?;
    assert_eq!(job["file"], json!(null));
    let objects: i64 =
        sqlx::query_scalar("SELECT count(*) FROM export_jobs WHERE status = 'COMPLETED'")
            .fetch_one(&mut world.postgres().await?)
            .await?;
    assert_eq!(objects, 0);
    Ok(())
}
