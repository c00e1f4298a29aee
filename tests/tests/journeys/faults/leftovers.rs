//! What fails leaves nothing in the bucket, and what succeeds leaves one object.

use anyhow::Result;
use devstack::Operation;
use e2e::World;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::bucket::{Bucket, insert_bulk, proxy_before};
use crate::{files, reference};

const ROWS: u64 = 20_000;

const SMALL: [(&str, &str); 2] = [
    ("EXPORT__PIPELINE__BLOCK_ROWS", "500"),
    ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
];

fn plain_json() -> Value {
    json!({"format": "json", "compression": "none"})
}

#[tokio::test]
async fn an_export_that_breaks_off_each_time_leaves_nothing() -> Result<()> {
    let mut world = World::new().await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.clickhouse_url).await?;
    world.env.clickhouse_url = through_proxy;
    let api = world.api(&[]).await?;
    let twice = [&SMALL[..], &[("EXPORT__RETRY__MAX_ATTEMPTS", "2")]].concat();
    let _worker = world.worker(&twice).await?;
    proxy.cut_after(15_000_000);
    let job = api.failed(&api.accepted(&plain_json()).await?).await?;
    assert_eq!(job["error"]["code"], "source_unavailable");
    assert!(job["rows_exported"].as_u64() < Some(ROWS), "{job}");
    assert_eq!(bucket.objects()?, [""; 0]);
    assert_eq!(bucket.uploads()?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_file_whose_storing_is_never_confirmed_is_taken_back() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let settings = [
        ("EXPORT__RETRY__MAX_ATTEMPTS", "2"),
        ("EXPORT__S3__MAX_ATTEMPTS", "1"),
    ];
    let _worker = world.worker(&settings).await?;
    let faults = bucket.s3.faults();
    faults.fail_after(Operation::PutObject, StatusCode::INTERNAL_SERVER_ERROR, 2);
    let job = api.failed(&api.accepted(&plain_json()).await?).await?;
    assert_eq!(job["error"]["code"], "storage_unavailable");
    assert_eq!(
        bucket.objects()?,
        [""; 0],
        "nobody knows of this file any more"
    );
    Ok(())
}

#[tokio::test]
async fn answers_of_the_storage_that_get_lost_cost_nothing() -> Result<()> {
    let mut world = World::new().await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let rows = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&SMALL).await?;
    let faults = bucket.s3.faults();
    for operation in [
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::HeadObject,
    ] {
        faults.fail_after(operation, StatusCode::SERVICE_UNAVAILABLE, 1);
    }
    let job = api.completed(&api.accepted(&plain_json()).await?).await?;
    assert_eq!(faults.left(Operation::CompleteMultipartUpload), 0);
    reference::check(files::json_lines(&api.download(&job).await?.bytes)?, rows)?;
    assert_eq!(bucket.objects()?.len(), 1, "{:?}", bucket.objects()?);
    Ok(())
}

#[tokio::test]
async fn an_upload_that_cannot_be_aborted_is_removed_by_the_next_attempt() -> Result<()> {
    let mut world = World::new().await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.clickhouse_url).await?;
    world.env.clickhouse_url = through_proxy;
    let api = world.api(&[]).await?;
    let settings = [&SMALL[..], &[("EXPORT__S3__MAX_ATTEMPTS", "1")]].concat();
    let _worker = world.worker(&settings).await?;
    let faults = bucket.s3.faults();
    faults.fail(
        Operation::AbortMultipartUpload,
        StatusCode::INTERNAL_SERVER_ERROR,
        1,
    );
    proxy.cut_once_after(15_000_000);
    let job = api.completed(&api.accepted(&plain_json()).await?).await?;
    assert_eq!(job["file"]["rows"], ROWS);
    assert_eq!(faults.left(Operation::AbortMultipartUpload), 0);
    assert_eq!(bucket.objects()?.len(), 1, "{:?}", bucket.objects()?);
    assert_eq!(bucket.uploads()?, [""; 0]);
    Ok(())
}
