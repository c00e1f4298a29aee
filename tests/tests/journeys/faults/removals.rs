//! What is not needed is removed from the bucket, however long that takes, and nothing is kept
//! anywhere else.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use devstack::{Operation, Service};
use e2e::eventually;
use reqwest::StatusCode;
use serde_json::json;

use crate::exports::{Slow, ask, plain};

const ONCE: (&str, &str) = ("EXPORT__S3__MAX_ATTEMPTS", "1");

/// Bytes of ClickHouse's answer after which an export is in the middle of an upload.
const HALF: u64 = 12_000_000;

#[tokio::test]
async fn an_export_that_breaks_off_each_time_leaves_nothing() -> Result<()> {
    let journey = Slow::new().await?;
    let settings = [
        ("EXPORT__RETRY__MAX_ATTEMPTS", "2"),
        ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "1000000"),
    ];
    let _worker = journey.slow_worker(&settings).await?;
    journey.clickhouse.cut_after(HALF);
    let job = journey
        .api
        .failed(&journey.api.accepted(&plain()).await?)
        .await?;
    assert_eq!(job["error"]["code"], "source_unavailable");
    journey.bucket.settled(0).await?;
    journey.world.check_invariants().await
}

#[tokio::test]
async fn an_upload_that_cannot_be_aborted_is_aborted_later() -> Result<()> {
    let journey = Slow::new().await?;
    let _worker = journey.slow_worker(&[ONCE]).await?;
    let faults = journey.bucket.s3.faults();
    let abort = Operation::AbortMultipartUpload;
    faults.fail(abort, StatusCode::INTERNAL_SERVER_ERROR, 3);
    let id = journey.begun(1).await?;
    journey.api.delete(&id).await?;
    journey.bucket.settled(0).await?;
    assert_eq!(faults.left(abort), 0);
    journey.world.check_invariants().await
}

#[tokio::test]
async fn a_file_that_cannot_be_deleted_is_deleted_later() -> Result<()> {
    let journey = Slow::new().await?;
    let _worker = journey.worker(&[ONCE]).await?;
    let id = journey.api.accepted(&plain()).await?;
    journey.check_completed(&id).await?;
    let faults = journey.bucket.s3.faults();
    faults.fail(Operation::DeleteObject, StatusCode::SERVICE_UNAVAILABLE, 3);
    journey.api.delete(&id).await?;
    let sql = "SELECT coalesce(max(attempts), 0) FROM export_removals WHERE job_id = $1::uuid";
    eventually("a second attempt", async || {
        Ok((ask::<i32>(&journey.world, &id, sql).await? > 1).then_some(()))
    })
    .await?;
    assert_eq!(journey.bucket.objects()?.len(), 1);
    journey.bucket.settled(0).await?;
    assert_eq!(faults.left(Operation::DeleteObject), 0);
    journey.world.check_invariants().await
}

#[tokio::test]
async fn a_file_whose_storing_is_never_confirmed_is_taken_back() -> Result<()> {
    let journey = Slow::new().await?;
    let twice = ("EXPORT__RETRY__MAX_ATTEMPTS", "2");
    let _worker = journey.worker(&[ONCE, twice]).await?;
    let faults = journey.bucket.s3.faults();
    faults.fail_after(Operation::PutObject, StatusCode::INTERNAL_SERVER_ERROR, 2);
    let small = json!({"filters": {"body": "no such line"}});
    let job = journey
        .api
        .failed(&journey.api.accepted(&small).await?)
        .await?;
    assert_eq!(job["error"]["code"], "storage_unavailable");
    journey.bucket.settled(0).await?;
    journey.world.check_invariants().await
}

/// Returns the regular files that a process has open for writing, besides its log.
fn written_by(worker: &Service) -> Result<Vec<PathBuf>> {
    let process = PathBuf::from(format!("/proc/{}", worker.pid()));
    let mut files = Vec::new();
    for entry in fs::read_dir(process.join("fd"))? {
        let number = entry?.file_name();
        // It may be closed by now.
        let Ok(file) = fs::read_link(process.join("fd").join(&number)) else {
            continue;
        };
        let Ok(info) = fs::read_to_string(process.join("fdinfo").join(&number)) else {
            continue;
        };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.context("flags")?.trim(), 8)?;
        let regular = file.is_absolute() && !file.starts_with("/dev");
        if regular && flags & 3 != 0 && file != worker.log() {
            files.push(file);
        }
    }
    Ok(files)
}

#[tokio::test]
async fn no_disk_can_be_full_since_a_worker_writes_no_files() -> Result<()> {
    let journey = Slow::new().await?;
    let temporary = tempfile::tempdir()?;
    let dir = temporary.path().to_str().context("a path")?;
    let worker = journey.slow_worker(&[("TMPDIR", dir)]).await?;
    let id = journey.begun(1).await?;
    let mut written = written_by(&worker)?;
    journey.clickhouse.heal().await?;
    eventually("the end of the job", async || {
        written.extend(written_by(&worker)?);
        let job = journey.api.job(&id).await?;
        Ok((job["status"] == "COMPLETED").then_some(()))
    })
    .await?;
    assert!(written.is_empty(), "{written:?}");
    assert_eq!(fs::read_dir(dir)?.count(), 0);
    journey.check_completed(&id).await?;
    Ok(())
}
