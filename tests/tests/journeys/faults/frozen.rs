//! A worker that sleeps through its lease changes nothing afterwards.

use anyhow::{Result, ensure};
use devstack::{Mailbox, Service, Signal, Smtp};
use e2e::{World, eventually};
use reqwest::Url;
use serde_json::json;

use crate::bucket::{Bucket, proxy_before};
use crate::exports::{
    BYTES_PER_SECOND, SLICES, SOON, Slow, ask, check_file, checkpoints, events, plain,
};

/// Lets a frozen worker go on, and waits until it has nothing to do any more: it ends only then.
async fn thaw(frozen: Service) -> Result<()> {
    frozen.signal(Signal::Continue)?;
    frozen.stop(SOON).await
}

#[tokio::test]
async fn a_frozen_worker_finds_its_job_done_by_another() -> Result<()> {
    let slow = Slow::new().await?;
    let frozen = slow.slow_worker(&[]).await?;
    let id = slow.begun(1).await?;
    frozen.signal(Signal::Stop)?;
    slow.clickhouse.heal().await?;

    let _second = slow.worker(&[]).await?;
    let job = slow.api.completed(&id).await?;
    thaw(frozen).await?;
    assert_eq!(slow.check_completed(&id).await?, job, "nothing has changed");
    assert_eq!(slow.world.mails(1).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_frozen_worker_cannot_spoil_the_upload_that_its_successor_writes() -> Result<()> {
    let slow = Slow::new().await?;
    let frozen = slow.slow_worker(&[]).await?;
    let id = slow.begun(1).await?;
    frozen.signal(Signal::Stop)?;
    slow.clickhouse.heal().await?;

    let (successors, url) = proxy_before(&slow.world.env.clickhouse_url).await?;
    successors.throttle(BYTES_PER_SECOND);
    let through_proxy = [("EXPORT__CLICKHOUSE__URL", url.as_str())];
    let _second = slow.worker(&through_proxy).await?;
    checkpoints(&slow.world, &id, 2).await?;
    let sql = "SELECT token FROM export_jobs WHERE job_id = $1::uuid";
    let token: i64 = ask(&slow.world, &id, sql).await?;
    thaw(frozen).await?;
    let job = slow.api.job(&id).await?;
    assert_eq!(job["status"], "PROCESSING", "its successor was at work");

    successors.heal().await?;
    slow.check_completed(&id).await?;
    let events = events(&slow.world, &id).await?;
    assert_eq!(events, ["requested", "started", "resumed", "completed"]);
    let unchanged: i64 = ask(&slow.world, &id, sql).await?;
    assert_eq!(unchanged, token, "nobody else has claimed it");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_frozen_while_it_publishes_takes_its_file_back() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.s3.endpoint).await?;
    let api = world.api(&[]).await?;
    let through_proxy = [("EXPORT__S3__ENDPOINT", through_proxy.as_str())];
    let frozen = world
        .worker(&[&SLICES[..], &through_proxy].concat())
        .await?;
    proxy.stall_after(0);
    let id = api.accepted(&plain()).await?;
    eventually("the object", async || {
        Ok((!bucket.objects()?.is_empty()).then_some(()))
    })
    .await?;
    frozen.signal(Signal::Stop)?;
    proxy.heal().await?;

    let _second = world.worker(&SLICES).await?;
    let job = api.completed(&id).await?;
    thaw(frozen).await?;
    assert_eq!(api.job(&id).await?, job, "nothing has changed");
    check_file(&world, &api, &job).await?;
    world.check_invariants().await
}

#[tokio::test]
async fn a_worker_that_is_frozen_while_it_mails_leaves_the_mail_to_another() -> Result<()> {
    let mut world = World::new().await?;
    let smtp = Smtp::start(world.dir.path()).await?;
    world.env.mailbox_url = smtp.mailbox_url();
    world.env.smtp.port = smtp.port();
    let (proxy, url) = proxy_before(&format!("smtp://127.0.0.1:{}", smtp.port())).await?;
    let port = Url::parse(&url)?.port().unwrap_or_default().to_string();
    let api = world.api(&[]).await?;
    let lease = ("EXPORT__NOTIFICATIONS__LEASE_S", "2");
    let frozen = world
        .worker(&[lease, ("EXPORT__SMTP__PORT", &port)])
        .await?;
    proxy.stall_after(0);
    let id = api.accepted(&json!({})).await?;
    eventually("that it is about to be sent", async || {
        let sql = "SELECT count(*) FROM export_notifications
                   WHERE job_id = $1::uuid AND lease_until IS NOT NULL";
        Ok((ask::<i64>(&world, &id, sql).await? > 0).then_some(()))
    })
    .await?;
    frozen.signal(Signal::Stop)?;

    let _second = world.worker(&[lease]).await?;
    world.check_invariants().await?;
    proxy.heal().await?;
    thaw(frozen).await?;
    let mails = Mailbox::new(smtp.mailbox_url()).messages().await?;
    ensure!(mails.len() == 1, "{mails:?}");
    world.check_invariants().await
}
