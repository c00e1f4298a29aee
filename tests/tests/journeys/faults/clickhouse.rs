//! ClickHouse fails, and there is never a short file.

use anyhow::{Context, Result};
use devstack::{ClickHouse, Env, Proxy, Service};
use e2e::{Api, Job, World};
use serde_json::{Value, json};

use crate::bucket::{insert_bulk, proxy_before};
use crate::exports::{
    BYTES_PER_SECOND, ROWS, SLICES, ask, check_file, checkpoints, events, plain, until,
};
use crate::{files, reference};

const ATTEMPTS: &str = "SELECT attempts FROM export_jobs WHERE job_id = $1::uuid";
const TRIED_AGAIN: &str = "SELECT attempts > 1 FROM export_jobs WHERE job_id = $1::uuid";

/// A world whose binaries reach ClickHouse through a proxy.
struct Journey {
    world: World,
    clickhouse: Proxy,
    api: Api,
    _worker: Service,
}

impl Journey {
    async fn new(rows: u64, settings: &[(&str, &str)]) -> Result<Self> {
        let mut world = World::new().await?;
        world.seed("otel", &world.ours, rows).await?;
        let (clickhouse, url) = proxy_before(&world.env.clickhouse_url).await?;
        world.env.clickhouse_url = url;
        let api = world.api(&[]).await?;
        let worker = world.worker(settings).await?;
        Ok(Self {
            world,
            clickhouse,
            api,
            _worker: worker,
        })
    }

    async fn check_completed(&self, id: &str) -> Result<Job> {
        let job = self.api.completed(id).await?;
        check_file(&self.world, &self.api, &job).await?;
        self.world.check_invariants().await?;
        Ok(job)
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() -> Result<()> {
    let journey = Journey::new(500, &[]).await?;
    journey.clickhouse.refuse().await;
    let id = journey.api.accepted(&plain()).await?;
    until(&journey.world, &id, TRIED_AGAIN).await?;
    let waiting = journey.api.job(&id).await?;
    assert_ne!(
        waiting["status"], "FAILED",
        "only the last attempt may say so"
    );
    journey.clickhouse.heal().await?;
    journey.check_completed(&id).await.map(drop)
}

#[tokio::test]
async fn attempts_end_with_a_reason() -> Result<()> {
    let journey = Journey::new(0, &[("EXPORT__RETRY__MAX_ATTEMPTS", "2")]).await?;
    journey.clickhouse.refuse().await;
    let job = journey
        .api
        .failed(&journey.api.accepted(&json!({})).await?)
        .await?;
    assert_eq!(job["error"]["code"], "source_unavailable");
    assert_eq!(job["file"], json!(null));
    let mails = journey.world.mails(1).await?;
    assert!(mails[0].subject.contains("failed"), "{}", mails[0].subject);
    assert!(
        mails[0].text.contains("source_unavailable"),
        "{}",
        mails[0].text
    );
    journey.world.check_invariants().await
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_gives_a_whole_file() -> Result<()> {
    let journey = Journey::new(20_000, &[("EXPORT__RETRY__MAX_ATTEMPTS", "50")]).await?;
    let id = journey.api.accepted(&plain()).await?;
    let whole = journey.check_completed(&id).await?;
    for bytes in [1, 400, 1_000, 70_000, 1_000_000, 2_000_000] {
        journey.clickhouse.cut_once_after(bytes);
        let id = journey.api.accepted(&plain()).await?;
        let job = journey.api.completed(&id).await?;
        assert_eq!(
            job["file"]["sha256"], whole["file"]["sha256"],
            "cut after {bytes}"
        );
    }
    journey.world.check_invariants().await
}

#[tokio::test]
async fn a_stream_that_stalls_is_given_up_and_read_again() -> Result<()> {
    let settings = [("EXPORT__CLICKHOUSE__IDLE_TIMEOUT_MS", "500")];
    let journey = Journey::new(20_000, &settings).await?;
    journey.clickhouse.stall_after(1_000_000);
    let id = journey.api.accepted(&plain()).await?;
    until(&journey.world, &id, TRIED_AGAIN).await?;
    journey.clickhouse.heal().await?;
    journey.check_completed(&id).await.map(drop)
}

#[tokio::test]
async fn a_database_that_is_killed_in_the_middle_costs_no_finished_slice() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let clickhouse = ClickHouse::start(dir.path()).await?;
    let mut env = Env::shared().clone();
    env.clickhouse_url = clickhouse.url().to_owned();
    env.clickhouse_user = clickhouse.user().to_owned();
    env.clickhouse_password = clickhouse.password().to_owned();
    let world = World::on(env).await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let (proxy, url) = proxy_before(clickhouse.url()).await?;
    let api = world.api(&[]).await?;
    let proxied = [
        ("EXPORT__CLICKHOUSE__URL", &*url),
        // However long it takes to come back.
        ("EXPORT__RETRY__MAX_ATTEMPTS", "500"),
    ];
    let _worker = world.worker(&[&SLICES[..], &proxied].concat()).await?;
    proxy.throttle(BYTES_PER_SECOND);
    let id = api.accepted(&plain()).await?;
    checkpoints(&world, &id, 1).await?;
    clickhouse.kill().await?;
    until(
        &world,
        &id,
        "SELECT last_error IS NOT NULL FROM export_jobs WHERE job_id = $1::uuid",
    )
    .await?;
    proxy.heal().await?;
    clickhouse.restart().await?;
    check_file(&world, &api, &api.completed(&id).await?).await?;
    let events = events(&world, &id).await?;
    assert_eq!(events[..3], ["requested", "started", "resumed"]);
    assert!(!events.contains(&"started_over".to_owned()), "{events:?}");
    world.check_invariants().await?;
    clickhouse.stop().await
}

#[tokio::test]
async fn a_query_that_hits_a_limit_says_so() -> Result<()> {
    let settings = [
        ("EXPORT__CLICKHOUSE__MAX_MEMORY_USAGE_BYTES", "1000000"),
        ("EXPORT__RETRY__MAX_ATTEMPTS", "2"),
    ];
    let journey = Journey::new(0, &settings).await?;
    // What a thread takes in pieces, ClickHouse counts from 4 MiB on only.
    let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, Body, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') AS t, t, repeat(repeat('x', 1024), 8192), \
         map('telemetryflow.organization.id', {organization:String})";
    let organization = journey.world.ours.organization.to_string();
    let parameters = [("organization", organization.as_str())];
    journey.world.clickhouse.run(sql, &parameters).await?;
    let id = journey.api.accepted(&json!({})).await?;
    let job = journey.api.failed(&id).await?;
    assert_eq!(job["error"]["code"], "source_limit");
    assert_eq!(ask::<i32>(&journey.world, &id, ATTEMPTS).await?, 2);
    journey.world.check_invariants().await
}

/// Inserts a log record a second with these bodies.
async fn insert_bodies(world: &World, bodies: &[String]) -> Result<()> {
    for (second, body) in bodies.iter().enumerate() {
        let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, Body, ResourceAttributes) \
             SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + {second:UInt32} AS t, t, \
             {body:String}, map('telemetryflow.organization.id', {organization:String})";
        let parameters = [
            ("second", &*second.to_string()),
            ("body", &**body),
            ("organization", &*world.ours.organization.to_string()),
        ];
        world.clickhouse.run(sql, &parameters).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_log_of_exceptions_is_no_exception() -> Result<()> {
    let world = World::new().await?;
    let exception = "Code: 60. DB::Exception: Table default.logs does not exist. \
                     (UNKNOWN_TABLE) (version 26.9.2.1 (official build))";
    insert_bodies(
        &world,
        &[
            "Code: 241. DB::Exception: Memory limit exceeded (MEMORY_LIMIT_EXCEEDED)".to_owned(),
            "__exception__".to_owned(),
            format!("{exception} {exception}"),
            exception.to_owned(),
        ],
    )
    .await?;
    let rows = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    assert!(rows.iter().any(|row| row["body"] == exception), "{rows:?}");
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    for format in ["json", "csv", "parquet"] {
        let id = api.accepted(&json!({"format": format})).await?;
        let bytes = api.download(&api.completed(&id).await?).await?.bytes;
        let read = match format {
            "json" => files::json_lines(&files::gunzip(&bytes)?)?,
            "csv" => files::csv(&files::gunzip(&bytes)?, &rows)?,
            _ => files::parquet(bytes)?,
        };
        reference::check(read, rows.clone()).with_context(|| format)?;
        assert_eq!(ask::<i32>(&world, &id, ATTEMPTS).await?, 1, "{format}");
    }
    world.check_invariants().await
}

#[tokio::test]
async fn no_rows_are_a_file_all_the_same() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let export = async |request: Value| {
        let job = api.completed(&api.accepted(&request).await?).await?;
        assert_eq!(job["file"]["rows"], 0);
        Ok::<_, anyhow::Error>(api.download(&job).await?.bytes)
    };
    let csv = files::gunzip(&export(json!({})).await?)?;
    assert!(csv.starts_with(b"timestamp,"), "the header");
    assert!(files::csv(&csv, &[])?.is_empty());
    assert_eq!(
        files::gunzip(&export(json!({"format": "json"})).await?)?,
        b""
    );
    let array = json!({"format": "json", "compression": "none",
                       "options": {"json": {"layout": "array"}}});
    assert_eq!(
        serde_json::from_slice::<Value>(&export(array).await?)?,
        json!([])
    );
    let parquet = export(json!({"format": "parquet"})).await?;
    assert!(files::parquet(parquet)?.is_empty());
    world.check_invariants().await
}
