//! S3 fails, and there is one whole file or none, and the user is told the truth.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use devstack::{Operation, Service};
use e2e::{Api, World, eventually};
use reqwest::StatusCode;
use serde_json::json;

use super::pieces::{self, Pieces};
use crate::bucket::{Bucket, proxy_before};
use crate::exports::{Slow, ask, check_file, events, plain, until};

/// The client asks once, so that an error is one of the attempt.
const ONCE: (&str, &str) = ("EXPORT__S3__MAX_ATTEMPTS", "1");

/// A world with a bucket of its own and a few rows.
struct Small {
    world: World,
    bucket: Bucket,
    api: Api,
    _worker: Service,
}

impl Small {
    async fn new(settings: &[(&str, &str)]) -> Result<Self> {
        let mut world = World::new().await?;
        world.seed("otel", &world.ours, 100).await?;
        let bucket = Bucket::start(&mut world).await?;
        let api = world.api(&[]).await?;
        let worker = world.worker(settings).await?;
        Ok(Self {
            world,
            bucket,
            api,
            _worker: worker,
        })
    }
}

#[tokio::test]
async fn a_storage_that_is_busy_is_asked_again() -> Result<()> {
    let small = Small::new(&[]).await?;
    // Often enough that the client's own attempts are used up, and the job's are needed.
    let faults = small.bucket.s3.faults();
    faults.fail(Operation::PutObject, StatusCode::INTERNAL_SERVER_ERROR, 6);
    let id = small.api.accepted(&plain()).await?;
    check_file(&small.world, &small.api, &small.api.completed(&id).await?).await?;
    assert_eq!(faults.left(Operation::PutObject), 0);
    small.world.check_invariants().await
}

#[tokio::test]
async fn a_part_that_fails_costs_no_finished_slice() -> Result<()> {
    let journey = Slow::new().await?;
    let worker = journey.slow_worker(&[ONCE]).await?;
    let mut files = BTreeSet::new();
    for status in [500, 503] {
        let id = journey.begun(2).await?;
        let status = StatusCode::from_u16(status)?;
        journey
            .bucket
            .s3
            .faults()
            .fail(Operation::UploadPart, status, 1);
        let failed = "SELECT last_error IS NOT NULL FROM export_jobs WHERE job_id = $1::uuid";
        until(&journey.world, &id, failed).await?;
        journey.clickhouse.heal().await?;
        let job = journey.api.completed(&id).await?;
        files.insert(job["file"]["sha256"].to_string());
        let events = events(&journey.world, &id).await?;
        assert_eq!(events, ["requested", "started", "resumed", "completed"]);
        let log = std::fs::read_to_string(worker.log())?;
        let resumed = log.lines().rfind(|line| line.contains("resuming"));
        let resumed = resumed.context("a line of the log")?;
        let late = ["slices=2", "slices=3"].map(|slices| resumed.contains(slices));
        assert!(late.contains(&true), "{resumed}");
    }
    // The same as one that nothing happened to.
    let id = journey.api.accepted(&plain()).await?;
    let undisturbed = journey.check_completed(&id).await?;
    files.insert(undisturbed["file"]["sha256"].to_string());
    assert_eq!(files.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_put_together_at_first_is_not_read_again() -> Result<()> {
    let journey = Slow::new().await?;
    let _worker = journey.worker(&[ONCE]).await?;
    let faults = journey.bucket.s3.faults();
    let complete = Operation::CompleteMultipartUpload;
    // The first is an answer of status 200 whose body is an error.
    for status in [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE] {
        faults.fail(complete, status, 2);
        let id = journey.api.accepted(&plain()).await?;
        journey.check_completed(&id).await?;
        assert_eq!(faults.left(complete), 0, "{status}");
        let events = events(&journey.world, &id).await?;
        assert_eq!(events, ["requested", "started", "completed"], "{status}");
    }
    journey.bucket.settled(2).await
}

#[tokio::test]
async fn a_file_that_is_never_put_together_is_no_file() -> Result<()> {
    let journey = Slow::new().await?;
    let twice = ("EXPORT__RETRY__MAX_ATTEMPTS", "2");
    let _worker = journey.worker(&[ONCE, twice]).await?;
    let faults = journey.bucket.s3.faults();
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    for performed in [false, true] {
        if performed {
            // It is there, and nobody can know.
            faults.fail_after(Operation::CompleteMultipartUpload, unavailable, usize::MAX);
            faults.fail(Operation::HeadObject, unavailable, usize::MAX);
        } else {
            faults.fail(Operation::CompleteMultipartUpload, unavailable, usize::MAX);
        }
        let job = journey
            .api
            .failed(&journey.api.accepted(&plain()).await?)
            .await?;
        assert_eq!(job["error"]["code"], "storage_unavailable");
        journey.bucket.settled(0).await?;
        journey.world.check_invariants().await?;
        faults.clear();
    }
    let id = journey.api.accepted(&plain()).await?;
    journey.check_completed(&id).await?;
    journey.bucket.settled(1).await
}

#[tokio::test]
async fn answers_that_get_lost_cost_nothing() -> Result<()> {
    let journey = Slow::new().await?;
    let _worker = journey.worker(&[]).await?;
    let faults = journey.bucket.s3.faults();
    let operations = [
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::HeadObject,
    ];
    for hang_up in [false, true] {
        for operation in operations {
            if hang_up {
                faults.hang_up_after(operation, 1);
            } else {
                faults.fail_after(operation, StatusCode::SERVICE_UNAVAILABLE, 1);
            }
        }
        let id = journey.api.accepted(&plain()).await?;
        let job = journey.api.completed(&id).await?;
        check_file(&journey.world, &journey.api, &job).await?;
        assert_eq!(operations.map(|operation| faults.left(operation)), [0; 4]);
        let sql = "SELECT attempts FROM export_jobs WHERE job_id = $1::uuid";
        assert_eq!(ask::<i32>(&journey.world, &id, sql).await?, 1);
    }
    assert_eq!(journey.bucket.objects()?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn denied_access_is_final_and_clear() -> Result<()> {
    let small = Small::new(&[]).await?;
    let faults = small.bucket.s3.faults();
    faults.fail(Operation::PutObject, StatusCode::FORBIDDEN, usize::MAX);
    let id = small.api.accepted(&json!({})).await?;
    let job = small.api.failed(&id).await?;
    assert_eq!(job["error"]["code"], "storage_denied");
    let download = format!("/api/v1/export/{id}/download");
    let (status, problem) = small.api.get(&download).await?;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("export_failed"))
    );
    let sql = "SELECT attempts FROM export_jobs WHERE job_id = $1::uuid";
    assert_eq!(ask::<i32>(&small.world, &id, sql).await?, 1);
    small.world.check_invariants().await
}

#[tokio::test]
async fn a_missing_bucket_is_final_and_clear() -> Result<()> {
    let mut world = World::new().await?;
    world.env.s3.bucket = "no-such-bucket".to_owned();
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let job = api.failed(&api.accepted(&json!({})).await?).await?;
    assert_eq!(job["error"]["code"], "storage_denied");
    assert!(world.mails(1).await?[0].text.contains("storage_denied"));
    Ok(())
}

#[tokio::test]
async fn a_slow_line_to_the_storage_costs_time_only() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 8).await?;
    let bucket = Bucket::start(&mut world).await?;
    // A thousand bytes a second.
    let trickle = Pieces {
        bytes: 100,
        pause: Duration::from_millis(100),
    };
    let endpoint = pieces::proxy_before(&world.env.s3.endpoint, trickle, Pieces::ANY).await?;
    let api = world.api(&[]).await?;
    let settings = [
        ("EXPORT__S3__ENDPOINT", &*endpoint),
        ("EXPORT__WORKER__LEASE_S", "2"),
    ];
    // The second would take the job when its lease ended.
    let _workers = (
        world.worker(&settings).await?,
        world.worker(&settings).await?,
    );
    let id = api.accepted(&plain()).await?;
    check_file(&world, &api, &api.completed(&id).await?).await?;
    let held: (i64, f64) = sqlx::query_as(
        "SELECT token, extract(epoch FROM completed_at - started_at)::float8 FROM export_jobs",
    )
    .fetch_one(&mut world.postgres().await?)
    .await?;
    assert_eq!(held.0, 1);
    assert!(held.1 > 2.5, "longer than a lease: {held:?}");
    bucket.settled(1).await?;
    world.check_invariants().await
}

#[tokio::test]
async fn readiness_tells_that_the_storage_is_down() -> Result<()> {
    let mut world = World::new().await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    bucket.s3.kill().await;
    let (status, ready) = api.get("/readyz").await?;
    assert_eq!(
        (status, &ready["status"]),
        (StatusCode::OK, &json!("degraded"))
    );
    assert_eq!(ready["dependencies"]["s3"]["status"], "down");
    assert_eq!(ready["dependencies"]["redis"]["status"], "up");
    let answer = api.send(reqwest::Method::GET, "/healthz", None).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_storage_that_hangs_does_not_keep_a_worker_from_stopping() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.s3.endpoint).await?;
    let api = world.api(&[]).await?;
    let settings = [
        ("EXPORT__S3__ENDPOINT", through_proxy.as_str()),
        ("EXPORT__WORKER__SHUTDOWN_GRACE_S", "1"),
    ];
    let worker = world.worker(&settings).await?;
    proxy.stall_after(0);
    let id = api.accepted(&plain()).await?;
    eventually("the object", async || {
        Ok((!bucket.objects()?.is_empty()).then_some(()))
    })
    .await?;
    worker.stop(Duration::from_secs(20)).await?;
    assert_eq!(api.job(&id).await?["status"], "PENDING");

    let _second = world.worker(&[]).await?;
    check_file(&world, &api, &api.completed(&id).await?).await?;
    bucket.settled(1).await?;
    world.check_invariants().await
}
