//! Exports that people take back: before, during and after the work.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::{Api, World, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::bucket::Bucket;
use crate::exports::{Slow, TableLock, ask, claimed, events, held_up, plain};

/// Checks that the file of an export is not to be had any more, and why.
async fn check_download(api: &Api, id: &str, status: StatusCode, code: &str) -> Result<()> {
    let (answered, problem) = api.get(&format!("/api/v1/export/{id}/download")).await?;
    assert_eq!((answered, problem["code"].as_str()), (status, Some(code)));
    Ok(())
}

/// Checks that nobody is told of an export that somebody has taken back.
async fn check_no_mail(world: &World, id: &str) -> Result<()> {
    let mails = "SELECT count(*) FROM export_notifications WHERE job_id = $1::uuid";
    assert_eq!(ask::<i64>(world, id, mails).await?, 0);
    Ok(())
}

/// Returns the events of a job, but for the e-mail that is not sent when the file is gone before.
async fn happened(world: &World, id: &str) -> Result<Vec<String>> {
    let mut events = events(world, id).await?;
    events.retain(|kind| kind != "unnotified");
    Ok(events)
}

#[tokio::test]
async fn a_job_that_is_cancelled_before_a_worker_has_it_is_never_begun() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let id = api.accepted(&json!({})).await?;
    let cancelled = api.delete(&id).await?;
    assert_eq!(cancelled["status"], "CANCELLED", "{cancelled}");
    assert_eq!(
        api.delete(&id).await?,
        cancelled,
        "twice is the same as once"
    );
    check_download(&api, &id, StatusCode::CONFLICT, "export_cancelled").await?;

    let _worker = world.worker(&[]).await?;
    api.completed(&api.accepted(&json!({})).await?).await?;
    assert_eq!(api.job(&id).await?, cancelled);
    assert_eq!(events(&world, &id).await?, ["requested", "cancelled"]);
    check_no_mail(&world, &id).await?;
    world.check_invariants().await
}

#[tokio::test]
async fn a_job_that_is_cancelled_while_it_runs_makes_room_at_once_and_leaves_nothing() -> Result<()>
{
    let slow = Slow::new().await?;
    let settings = [
        ("EXPORT__WORKER__JOBS", "1"),
        ("EXPORT__WORKER__LEASE_S", "30"),
    ];
    let _worker = slow.slow_worker(&settings).await?;
    let id = slow.begun(1).await?;
    let next = slow.api.accepted(&plain()).await?;

    let asked = Instant::now();
    let cancelled = slow.api.delete(&id).await?;
    assert_eq!(cancelled["status"], "CANCELLED", "{cancelled}");
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    claimed(&slow.world, &next, 1).await?;
    let sql = "SELECT extract(epoch FROM next.started_at - this.completed_at)::float8
               FROM export_jobs AS this, export_jobs AS next
               WHERE this.job_id = $1::uuid AND next.job_id <> this.job_id";
    let freed_after: f64 = ask(&slow.world, &id, sql).await?;
    assert!((0.0..2.0).contains(&freed_after), "{freed_after} s");

    slow.clickhouse.heal().await?;
    slow.check_completed(&next).await?;
    assert_eq!(slow.api.job(&id).await?, cancelled, "nothing has changed");
    assert_eq!(
        events(&slow.world, &id).await?,
        ["requested", "started", "cancelled"]
    );
    check_no_mail(&slow.world, &id).await?;
    check_download(&slow.api, &id, StatusCode::CONFLICT, "export_cancelled").await
}

#[tokio::test]
async fn a_clickhouse_that_hangs_does_not_keep_a_cancelled_job_alive() -> Result<()> {
    let slow = Slow::new().await?;
    let one_job = [("EXPORT__WORKER__JOBS", "1")];
    let _worker = slow.slow_worker(&one_job).await?;
    slow.clickhouse.stall_after(12_000_000);
    let id = slow.api.accepted(&plain()).await?;
    slow.bucket.part_arrived().await?;
    let next = slow.api.accepted(&plain()).await?;
    assert_eq!(slow.api.delete(&id).await?["status"], "CANCELLED");
    claimed(&slow.world, &next, 1).await?;
    slow.clickhouse.heal().await?;
    slow.check_completed(&next).await?;
    check_no_mail(&slow.world, &id).await
}

/// A dataset that takes ClickHouse two seconds and a half for each granule.
const LABORIOUS: &str = r#"[logs]
table = "otel_logs"
time = "Timestamp"
tenant = "ResourceAttributes['telemetryflow.organization.id']"
order_by = []
columns = [
    { name = "timestamp", type = "timestamp", sql = "Timestamp" },
    { name = "body", type = "string", sql = "if(sleepEachRow(0.0003) = 0, Body, '')" },
]
"#;

#[tokio::test]
async fn cancelling_a_job_ends_its_query() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 100_000).await?;
    let preset = world.dir.path().join("laborious.toml");
    fs::write(&preset, LABORIOUS)?;
    let settings = [
        (
            "EXPORT__DATASETS__PRESET",
            preset.to_str().context("a path")?,
        ),
        ("EXPORT__CLICKHOUSE__MAX_THREADS", "1"),
    ];
    let api = world.api(&settings).await?;
    let _worker = world.worker(&settings).await?;
    let id = api.accepted(&json!({})).await?;
    let sql = format!("SELECT count() FROM system.processes WHERE query_id LIKE 'export-{id}-%'");
    let wait_for = async |count: &str| {
        eventually(&sql, async || {
            let running = world.clickhouse.run(&sql, &[]).await?;
            Ok((running.trim() == count).then_some(()))
        })
        .await
    };
    wait_for("1").await?;
    let asked = Instant::now();
    api.delete(&id).await?;
    wait_for("0").await?;
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    world.check_invariants().await
}

#[tokio::test]
async fn cancelling_and_completing_at_the_same_moment_gives_one_end() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _workers = (world.worker(&[]).await?, world.worker(&[]).await?);
    let started = Instant::now();
    api.completed(&api.accepted(&json!({})).await?).await?;
    let usual = started.elapsed();

    let mut ends = Vec::new();
    for round in 0..20 {
        let id = api.accepted(&json!({})).await?;
        // From the moment of the request to well behind the usual end.
        tokio::time::sleep(usual * round / 15).await;
        ends.push((id.clone(), api.delete(&id).await?));
    }
    world.check_invariants().await?;
    for (id, end) in &ends {
        assert_eq!(api.job(id).await?["status"], end["status"]);
        let happened = happened(&world, id).await?;
        let kinds: Vec<_> = happened.iter().map(String::as_str).collect();
        let fits = match end["status"].as_str() {
            Some("CANCELLED") => {
                kinds.last() == Some(&"cancelled") && !kinds.contains(&"completed")
            }
            Some("EXPIRED") => kinds.ends_with(&["completed", "deleted"]),
            _ => false,
        };
        assert!(fits, "{end} {kinds:?}");
    }
    let count = |status| {
        ends.iter()
            .filter(|(_, end)| end["status"] == status)
            .count()
    };
    assert!(count("CANCELLED") > 0 && count("EXPIRED") > 0, "{ends:?}");
    bucket.settled(1).await
}

#[tokio::test]
async fn cancelling_a_job_that_is_being_completed_deletes_its_file() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let lock = TableLock::take(&world, "export_notifications").await?;
    let _worker = world.worker(&[]).await?;
    let id = api.accepted(&json!({})).await?;
    lock.waited_for(&world).await?;
    // The worker holds the row, so this comes second.
    let (end, released) = tokio::join!(api.delete(&id), async {
        held_up(&world, "SELECT job_id FROM export_jobs").await?;
        lock.release().await
    });
    released?;
    assert_eq!(end?["status"], "EXPIRED");
    world.check_invariants().await?;
    assert_eq!(
        happened(&world, &id).await?,
        ["requested", "started", "completed", "deleted"]
    );
    bucket.settled(0).await
}

#[tokio::test]
async fn deleting_a_completed_job_deletes_its_file() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    let id = job["job_id"].as_str().unwrap_or_default();
    api.download(&job).await?;
    let deleted = api.delete(id).await?;
    assert_eq!(deleted["status"], "EXPIRED", "{deleted}");
    check_download(&api, id, StatusCode::GONE, "expired").await?;
    assert_eq!(api.delete(id).await?, deleted, "twice is the same as once");
    bucket.settled(0).await?;
    world.check_invariants().await
}

#[tokio::test]
async fn nobody_cancels_the_job_of_another_organization() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let api = world.api(&[]).await?;
    let waiting = api.accepted(&json!({})).await?;
    let refused = async || {
        let path = format!("/api/v1/export/{waiting}");
        let answer = api
            .send_as(&world.theirs, Method::DELETE, &path, None)
            .await?;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let problem: serde_json::Value = answer.json().await?;
        assert_eq!(problem["code"], "not_found");
        anyhow::Ok(())
    };
    refused().await?;
    assert_eq!(api.job(&waiting).await?["status"], "PENDING");
    let _worker = world.worker(&[]).await?;
    let job = api.completed(&waiting).await?;
    refused().await?;
    assert_eq!(api.job(&waiting).await?, job);
    api.download(&job).await?;
    world.check_invariants().await?;
    assert!(
        !events(&world, &waiting)
            .await?
            .contains(&"cancelled".to_owned())
    );
    Ok(())
}
