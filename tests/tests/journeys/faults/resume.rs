//! Another worker goes on where one has ended, and the file is what it would have been anyway.

use anyhow::Result;
use devstack::{Service, Signal};
use e2e::World;
use serde_json::{Value, json};

use crate::bucket::{Bucket, insert_bulk, proxy_before};
use crate::exports::{BYTES_PER_SECOND, SOON, checkpoints, events};
use crate::{files, reference};

/// Four slices of more than 5 MiB each, since smaller ones get no checkpoint of their own.
const ROWS: u64 = 28_000;
const SLICES: [(&str, &str); 5] = [
    ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "7000"),
    ("EXPORT__PIPELINE__BLOCK_ROWS", "500"),
    ("EXPORT__PIPELINE__ROW_GROUP_ROWS", "2000"),
    ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
    ("EXPORT__WORKER__LEASE_S", "2"),
];

/// Every format, in the form whose bytes are the most.
fn requests() -> [Value; 5] {
    [
        json!({"format": "csv", "compression": "none"}),
        json!({"format": "csv"}),
        json!({"format": "json", "options": {"json": {"layout": "array"}}}),
        json!({"format": "json", "compression": "zstd"}),
        json!({"format": "parquet"}),
    ]
}

/// Asks for exports whose worker ends in the third slice, and returns them as another one leaves
/// them, with a bucket that holds nothing else.
async fn interrupted(
    world: &mut World,
    requests: &[Value],
    mut end: impl AsyncFnMut(Service) -> Result<()>,
) -> Result<Vec<Vec<u8>>> {
    insert_bulk(world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.clickhouse_url).await?;
    let slow = [
        &SLICES[..],
        &[("EXPORT__CLICKHOUSE__URL", through_proxy.as_str())],
    ]
    .concat();
    let api = world.api(&[]).await?;
    let mut interrupted = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let first = world.worker(&slow).await?;
        proxy.throttle(BYTES_PER_SECOND);
        let id = api.accepted(request).await?;
        checkpoints(world, &id, 2).await?;
        end(first).await?;
        proxy.heal().await?;

        let second = world.worker(&SLICES).await?;
        let job = api.completed(&id).await?;
        assert_eq!(job["file"]["rows"], ROWS, "{job}");
        let events = events(world, &id).await?;
        assert_eq!(
            events,
            ["requested", "started", "resumed", "completed"],
            "{request}"
        );
        interrupted.push(api.download(&job).await?.bytes);
        bucket.settled(number + 1).await?;
        second.stop(SOON).await?;
    }

    let _third = world.worker(&SLICES).await?;
    for (request, interrupted) in requests.iter().zip(&interrupted) {
        let job = api.completed(&api.accepted(request).await?).await?;
        let whole = api.download(&job).await?.bytes;
        assert!(whole == *interrupted, "{request}: other bytes");
    }
    world.check_invariants().await?;
    Ok(interrupted)
}

#[tokio::test]
async fn a_file_that_a_killed_worker_began_is_the_same_as_any_other() -> Result<()> {
    let mut world = World::new().await?;
    let end = async |worker: Service| worker.kill().await;
    let mut files = interrupted(&mut world, &requests(), end).await?;
    let rows = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    reference::check(files::parquet(files.swap_remove(4))?, rows)
}

#[tokio::test]
async fn a_deploy_costs_no_finished_slice() -> Result<()> {
    let mut world = World::new().await?;
    interrupted(&mut world, &requests()[..1], async |mut worker| {
        worker.signal(Signal::Terminate)?;
        assert!(worker.wait(SOON).await?.success());
        Ok(())
    })
    .await
    .map(drop)
}
