//! Workers stop and work side by side, and each job is done once.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::Signal;
use e2e::{Api, World, eventually};
use serde_json::{Value, json};

use crate::{files, reference};

/// Enough rows for an export that can be interrupted.
const ROWS: u64 = 60_000;

/// Small blocks and parts, so that a worker is soon in the middle of an upload.
const SMALL: [(&str, &str); 2] = [
    ("EXPORT__PIPELINE__BLOCK_ROWS", "2000"),
    ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
];

/// Waits until the upload of a job has begun.
async fn uploading(world: &World) -> Result<()> {
    let mut postgres = world.postgres().await?;
    eventually("an upload", async || {
        let uploads: i64 =
            sqlx::query_scalar("SELECT count(*) FROM export_jobs WHERE upload_id IS NOT NULL")
                .fetch_one(&mut postgres)
                .await?;
        Ok((uploads > 0).then_some(()))
    })
    .await
}

async fn check_whole(world: &World, api: &Api, job: &Value) -> Result<()> {
    let rows = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    reference::check(files::json_lines(&api.download(job).await?.bytes)?, rows)
}

#[tokio::test]
async fn sigterm_lets_a_job_finish() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, ROWS).await?;
    let api = world.api(&[]).await?;
    let mut worker = world.worker(&SMALL).await?;
    let id = api
        .accepted(&json!({"format": "json", "compression": "none"}))
        .await?;
    uploading(&world).await?;
    worker.signal(Signal::Terminate)?;
    assert!(worker.wait(Duration::from_mins(1)).await?.success());
    let job = api.job(&id).await?;
    assert_eq!(job["status"], "COMPLETED", "{job}");
    check_whole(&world, &api, &job).await
}

#[tokio::test]
async fn a_job_that_outlives_the_grace_is_given_back_uncounted() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, ROWS).await?;
    let api = world.api(&[]).await?;
    let impatient = [&SMALL[..], &[("EXPORT__WORKER__SHUTDOWN_GRACE_S", "0")]].concat();
    let mut worker = world.worker(&impatient).await?;
    let id = api
        .accepted(&json!({"format": "json", "compression": "none"}))
        .await?;
    uploading(&world).await?;
    worker.signal(Signal::Terminate)?;
    assert!(worker.wait(Duration::from_mins(1)).await?.success());
    let job = api.job(&id).await?;
    assert_eq!(job["status"], "PENDING", "{job}");
    let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM export_jobs")
        .fetch_one(&mut world.postgres().await?)
        .await?;
    assert_eq!(attempts, 0);

    let _second = world.worker(&SMALL).await?;
    let job = api.completed(&id).await?;
    check_whole(&world, &api, &job).await
}

#[tokio::test]
async fn two_workers_share_the_jobs() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let api = world.api(&[]).await?;
    let _workers = (world.worker(&[]).await?, world.worker(&[]).await?);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(api.accepted(&json!({})).await?);
    }
    for id in &ids {
        assert_eq!(api.completed(id).await?["file"]["rows"], 100);
    }
    let mails = world.mails(20).await?;
    assert_eq!(mails.len(), 20);
    let (tokens, starts): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT max(token) FROM export_jobs),
                (SELECT count(*) FROM export_events WHERE kind = 'started')",
    )
    .fetch_one(&mut world.postgres().await?)
    .await
    .context("counting")?;
    assert_eq!((tokens, starts), (1, 20), "each was claimed once");
    Ok(())
}
