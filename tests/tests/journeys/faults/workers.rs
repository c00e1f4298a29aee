//! Workers die at every moment of an export, or work side by side, and each job is done once.

use anyhow::{Context, Result};
use e2e::World;
use queue::{QueueConfig, Wakeups};
use serde_json::json;
use uuid::Uuid;

use crate::exports::{Slow, TableLock, claimed, events, plain, plain_as_stored, until};

#[tokio::test]
async fn a_worker_that_dies_while_it_plans_leaves_the_job_as_it_was() -> Result<()> {
    let slow = Slow::new().await?;
    let first = slow.slow_worker(&[]).await?;
    slow.clickhouse.stall_after(0);
    let id = slow.api.accepted(&plain()).await?;
    claimed(&slow.world, &id, 1).await?;
    first.kill().await?;

    let _second = slow.worker(&[]).await?;
    slow.check_completed(&id).await?;
    let events = events(&slow.world, &id).await?;
    assert_eq!(events, ["requested", "started", "completed"]);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_dies_in_its_first_slice_leaves_an_upload_to_go_on_in() -> Result<()> {
    let slow = Slow::new().await?;
    let one_slice = [("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "1000000")];
    let first = slow.slow_worker(&one_slice).await?;
    // Enough for parts, and not for all of them.
    slow.clickhouse.stall_after(12_000_000);
    let id = slow.api.accepted(&plain_as_stored()).await?;
    slow.bucket.part_arrived().await?;
    first.kill().await?;

    let _second = slow.worker(&[]).await?;
    slow.check_completed(&id).await?;
    let events = events(&slow.world, &id).await?;
    assert_eq!(events, ["requested", "started", "resumed", "completed"]);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_has_other_memory_to_sort_in_goes_on() -> Result<()> {
    let slow = Slow::new().await?;
    let first = slow.slow_worker(&[]).await?;
    let id = slow.begun(1).await?;
    first.kill().await?;

    let _second = slow
        .worker(&[("EXPORT__PIPELINE__SORT_BYTES", "33554432")])
        .await?;
    slow.check_completed(&id).await?;
    let events = events(&slow.world, &id).await?;
    assert_eq!(events, ["requested", "started", "resumed", "completed"]);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_dies_before_the_checkpoint_of_a_stored_slice_costs_that_slice() -> Result<()>
{
    let slow = Slow::new().await?;
    let first = slow.slow_worker(&[]).await?;
    let id = slow.begun(1).await?;
    let lock = TableLock::take(&slow.world, "export_checkpoints").await?;
    lock.waited_for(&slow.world).await?;
    first.kill().await?;
    lock.release().await?;

    let _second = slow.worker(&[]).await?;
    slow.check_completed(&id).await?;
    let events = events(&slow.world, &id).await?;
    assert_eq!(events, ["requested", "started", "resumed", "completed"]);
    Ok(())
}

#[tokio::test]
async fn a_file_that_only_postgres_does_not_know_of_is_not_read_again() -> Result<()> {
    let slow = Slow::new().await?;
    let lock = TableLock::take(&slow.world, "export_notifications").await?;
    let first = slow.worker(&[]).await?;
    let id = slow.api.accepted(&plain()).await?;
    lock.waited_for(&slow.world).await?;
    let sealed = "SELECT status = 'PROCESSING' AND sha256 IS NOT NULL FROM export_jobs
                  WHERE job_id = $1::uuid";
    until(&slow.world, &id, sealed).await?;
    let stored = slow.bucket.objects()?;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(slow.bucket.uploads()?, [""; 0]);
    first.kill().await?;
    lock.release().await?;

    let nowhere = [("EXPORT__CLICKHOUSE__URL", "http://127.0.0.1:1")];
    let _second = slow.worker(&nowhere).await?;
    slow.check_completed(&id).await?;
    assert_eq!(slow.bucket.objects()?, stored);
    Ok(())
}

#[tokio::test]
async fn messages_about_a_job_that_is_done_change_nothing() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let queue = [
        (
            "EXPORT__REDIS__NAME",
            &*format!("again-{}", world.ours.user),
        ),
        ("EXPORT__WORKER__POLL_INTERVAL_MS", "600000"),
        // The first worker may die over its e-mail.
        ("EXPORT__NOTIFICATIONS__LEASE_S", "2"),
    ];
    let api = world.api(&queue).await?;
    let first = world.worker(&queue).await?;
    let id = api.accepted(&json!({})).await?;
    api.completed(&id).await?;
    first.kill().await?;
    let job = api.job(&id).await?;

    // As Redis does with a message whose worker has died before it said that it had it.
    let wake_ups = Wakeups::connect(&QueueConfig {
        url: world.env.redis_url.clone().into(),
        name: queue[0].1.to_owned(),
        push_timeout_ms: 5_000,
        max_undelivered: 100,
        poll_interval_ms: 100,
        response_timeout_ms: 5_000,
    })?;
    for _ in 0..3 {
        wake_ups.push(id.parse::<Uuid>()?.into()).await?;
    }
    let _second = world.worker(&queue).await?;
    // Its message comes behind those.
    api.completed(&api.accepted(&json!({})).await?).await?;
    assert_eq!(api.job(&id).await?, job);
    world.check_invariants().await?;
    let events = events(&world, &id).await?;
    assert_eq!(events, ["requested", "started", "completed"]);
    Ok(())
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
    world.check_invariants().await
}
