//! Files live as long as the rules say, and then they are gone.

use std::fs;

use anyhow::{Context, Result};
use devstack::{Operation, Signal, free_port};
use e2e::{Tenant, World, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bucket::{Bucket, proxy_before};
use crate::exports::{SOON, ask, events};

/// Lets the time of a file be over.
async fn expire(world: &World, id: &str) -> Result<()> {
    let sql = "UPDATE export_jobs SET expires_at = now() WHERE job_id = $1::uuid RETURNING true";
    ask::<bool>(world, id, sql).await.map(drop)
}

#[tokio::test]
async fn a_file_whose_time_is_over_is_deleted() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let worker = world.worker(&[]).await?;
    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    let stays = api.completed(&api.accepted(&json!({})).await?).await?;
    let id = job["job_id"].as_str().context("an id")?;
    api.download(&job).await?;
    world.check_invariants().await?;

    // Already before a worker has come to it.
    worker.stop(SOON).await?;
    expire(&world, id).await?;
    let gone = async || {
        let expired = api.job(id).await?;
        assert_eq!(expired["status"], "EXPIRED", "{expired}");
        assert_eq!(expired["download_url"], json!(null), "{expired}");
        let (status, problem) = api.get(&format!("/api/v1/export/{id}/download")).await?;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::GONE, &json!("expired"))
        );
        anyhow::Ok(())
    };
    gone().await?;
    let _worker = world.worker(&[]).await?;
    bucket.settled(1).await?;
    gone().await?;
    let happened = events(&world, id).await?;
    assert_eq!(
        happened.last().map(String::as_str),
        Some("expired"),
        "{happened:?}"
    );
    api.download(&stays).await?;
    world.check_invariants().await
}

#[tokio::test]
async fn a_worker_that_stops_ends_the_removal_that_it_has_begun() -> Result<()> {
    let mut world = World::new().await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.s3.endpoint).await?;
    let api = world.api(&[]).await?;
    let port = free_port()?;
    let settings = [("EXPORT__S3__ENDPOINT", through_proxy.as_str())];
    let mut worker = world.worker_at(port, &settings).await?;
    let id = api.accepted(&json!({})).await?;
    api.completed(&id).await?;
    world.check_invariants().await?;

    proxy.stall_after(0);
    api.delete(&id).await?;
    bucket.settled(0).await?;
    worker.signal(Signal::Terminate)?;
    eventually("that it is told", async || {
        let healthz = format!("http://127.0.0.1:{port}/healthz");
        Ok(reqwest::get(healthz).await.is_err().then_some(()))
    })
    .await?;
    proxy.heal().await?;
    worker.wait(SOON).await?;
    // Without another worker.
    assert_eq!(world.left_to_do().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_storage_that_refuses_to_delete_is_asked_until_it_does() -> Result<()> {
    let mut world = World::new().await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[("EXPORT__S3__MAX_ATTEMPTS", "1")]).await?;
    let id = api.accepted(&json!({})).await?;
    api.completed(&id).await?;
    let faults = bucket.s3.faults();
    faults.fail(
        Operation::DeleteObject,
        StatusCode::INTERNAL_SERVER_ERROR,
        4,
    );
    expire(&world, &id).await?;
    eventually("that it has been tried in vain", async || {
        let tried = "SELECT COALESCE(max(attempts), 0) FROM export_removals
                     WHERE job_id = $1::uuid AND last_error IS NOT NULL";
        Ok((ask::<i32>(&world, &id, tried).await? > 1).then_some(()))
    })
    .await?;
    assert_eq!(bucket.objects()?.len(), 1, "it is still there");
    bucket.settled(0).await?;
    assert_eq!(faults.left(Operation::DeleteObject), 0);
    world.check_invariants().await?;
    let happened = events(&world, &id).await?;
    assert_eq!(happened, ["requested", "started", "completed", "expired"]);
    Ok(())
}

#[tokio::test]
async fn rules_say_how_long_a_file_lives() -> Result<()> {
    let world = World::new().await?;
    let config = world.dir.path().join("retention.toml");
    let rules = format!(
        "[retention]
         days = 3
         [[retention.rules]]
         organization = \"{}\"
         format = \"parquet\"
         days = 90
         [[retention.rules]]
         organization = \"{}\"
         days = 30
         [[retention.rules]]
         format = \"json\"
         days = 1",
        world.theirs.organization, world.theirs.organization
    );
    fs::write(&config, rules)?;
    let api = world.api(&[]).await?;
    let _worker = world
        .worker(&[("EXPORT_CONFIG", config.to_str().context("a path")?)])
        .await?;
    let days = async |tenant: &Tenant, format: &str| {
        let body = json!({
            "data_type": "logs", "format": format,
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
        });
        let answer = api
            .send_as(tenant, Method::POST, "/api/v1/export", Some(&body))
            .await?;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let job: Value = answer.json().await?;
        let id = job["job_id"].as_str().context("an id")?;
        eventually("its end", async || {
            let sql = "SELECT CASE WHEN status = 'COMPLETED'
                              THEN extract(epoch FROM expires_at - completed_at)::float8 / 86400
                              END FROM export_jobs WHERE job_id = $1::uuid";
            ask::<Option<f64>>(&world, id, sql).await
        })
        .await
    };
    for (tenant, format, expected) in [
        (&world.ours, "csv", 3.0),
        (&world.ours, "parquet", 3.0),
        (&world.ours, "json", 1.0),
        (&world.theirs, "parquet", 90.0),
        (&world.theirs, "json", 30.0),
    ] {
        let days: f64 = days(tenant, format).await?;
        assert!((days - expected).abs() < 1e-6, "{format}: {days} days");
    }
    world.check_invariants().await
}
