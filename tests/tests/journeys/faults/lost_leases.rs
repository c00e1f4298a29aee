//! A worker that sleeps through its lease, or dies, changes nothing afterwards.

use std::time::Duration;

use anyhow::Result;
use devstack::Signal;
use e2e::{Api, Job, World, eventually};
use serde_json::{Value, json};

use crate::bucket::{Bucket, insert_bulk, proxy_before};
use crate::{files, reference};

const ROWS: u64 = 20_000;

/// Blocks and parts that are small, so that the worker is soon in the middle of an upload, and a
/// lease that is soon over.
const SMALL: [(&str, &str); 3] = [
    ("EXPORT__WORKER__LEASE_S", "2"),
    ("EXPORT__PIPELINE__BLOCK_ROWS", "500"),
    ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
];

/// Bytes of ClickHouse's answer after which an export has uploaded a part, but not all of them.
const HALF: u64 = 12_000_000;

fn plain_json() -> Value {
    json!({"format": "json", "compression": "none"})
}

async fn check_whole(world: &World, api: &Api, job: &Job) -> Result<()> {
    let rows = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    reference::check(files::json_lines(&api.download(job).await?.bytes)?, rows)
}

/// Checks that the user hears of the job once.
async fn check_one_mail(world: &World) -> Result<()> {
    eventually("that the e-mail is noted as sent", async || {
        let sent: Vec<String> = sqlx::query_scalar("SELECT status FROM notifications")
            .fetch_all(&mut world.postgres().await?)
            .await?;
        Ok((sent == ["SENT"]).then_some(()))
    })
    .await?;
    assert_eq!(world.mails(1).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_frozen_worker_finds_its_job_done_by_another() -> Result<()> {
    let mut world = World::new().await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.clickhouse_url).await?;
    let api = world.api(&[]).await?;
    let slow = [
        &SMALL[..],
        &[("EXPORT__CLICKHOUSE__URL", through_proxy.as_str())],
    ]
    .concat();
    let frozen = world.worker(&slow).await?;
    proxy.stall_after(HALF);
    let id = api.accepted(&plain_json()).await?;
    bucket.part_arrived().await?;
    frozen.signal(Signal::Stop)?;
    proxy.heal().await?;

    let _second = world.worker(&SMALL).await?;
    let job = api.completed(&id).await?;
    frozen.signal(Signal::Continue)?;
    // It ends only when the job that it believes to have has ended.
    frozen.stop(Duration::from_mins(1)).await?;

    assert_eq!(api.job(&id).await?, job, "nothing has changed");
    check_whole(&world, &api, &job).await?;
    check_one_mail(&world).await?;
    assert_eq!(bucket.objects()?.len(), 1, "{:?}", bucket.objects()?);
    assert_eq!(bucket.uploads()?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_frozen_while_it_publishes_takes_its_file_back() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.s3.endpoint).await?;
    let api = world.api(&[]).await?;
    let slow = [
        &SMALL[..],
        &[("EXPORT__S3__ENDPOINT", through_proxy.as_str())],
    ]
    .concat();
    let frozen = world.worker(&slow).await?;
    proxy.stall_after(0);
    let id = api.accepted(&plain_json()).await?;
    eventually("the object", async || {
        Ok((!bucket.objects()?.is_empty()).then_some(()))
    })
    .await?;
    frozen.signal(Signal::Stop)?;
    proxy.heal().await?;

    let _second = world.worker(&SMALL).await?;
    let job = api.completed(&id).await?;
    frozen.signal(Signal::Continue)?;
    frozen.stop(Duration::from_mins(1)).await?;

    assert_eq!(api.job(&id).await?, job, "nothing has changed");
    check_whole(&world, &api, &job).await?;
    check_one_mail(&world).await?;
    assert_eq!(bucket.objects()?.len(), 1, "{:?}", bucket.objects()?);
    Ok(())
}

#[tokio::test]
async fn what_a_dead_worker_left_is_removed() -> Result<()> {
    let mut world = World::new().await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.clickhouse_url).await?;
    world.env.clickhouse_url = through_proxy;
    let api = world.api(&[]).await?;
    let dead = world.worker(&SMALL).await?;
    proxy.stall_after(HALF);
    let id = api.accepted(&plain_json()).await?;
    bucket.part_arrived().await?;
    dead.kill().await?;
    proxy.heal().await?;

    let _second = world.worker(&SMALL).await?;
    let job = api.completed(&id).await?;
    check_whole(&world, &api, &job).await?;
    check_one_mail(&world).await?;
    assert_eq!(bucket.objects()?.len(), 1, "{:?}", bucket.objects()?);
    assert_eq!(bucket.uploads()?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_job_that_kills_each_worker_fails_and_leaves_nothing() -> Result<()> {
    let mut world = World::new().await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.clickhouse_url).await?;
    world.env.clickhouse_url = through_proxy;
    let api = world.api(&[]).await?;
    let once = [&SMALL[..], &[("EXPORT__RETRY__MAX_ATTEMPTS", "1")]].concat();
    let dead = world.worker(&once).await?;
    proxy.stall_after(HALF);
    let id = api.accepted(&plain_json()).await?;
    bucket.part_arrived().await?;
    dead.kill().await?;

    let _second = world.worker(&once).await?;
    let job = api.failed(&id).await?;
    assert_eq!(job["error"]["code"], "internal");
    check_one_mail(&world).await?;
    assert_eq!(bucket.objects()?, [""; 0]);
    assert_eq!(bucket.uploads()?, [""; 0]);
    Ok(())
}
