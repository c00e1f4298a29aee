//! ClickHouse users as production has them.

use anyhow::{Result, ensure};
use e2e::{World, eventually};
use reqwest::StatusCode;
use serde_json::json;

use crate::exports::check_file;

const USER: &str = "EXPORT__CLICKHOUSE__USER";

#[tokio::test]
async fn a_user_who_may_only_select_is_enough() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 5_000).await?;
    for user in ["select_only", "constrained", "proxied"] {
        let settings = [(USER, user)];
        let api = world.api(&settings).await?;
        let _worker = world.worker(&settings).await?;
        let (status, readiness) = api.get("/readyz").await?;
        ensure!(readiness["status"] == "ready", "{status}: {readiness}");
        for format in ["csv", "json", "parquet"] {
            let job = api
                .completed(&api.accepted(&json!({"format": format})).await?)
                .await?;
            ensure!(job["file"]["rows"] == 5_000, "{user}: {job}");
        }
        let job = api
            .accepted(&json!({"format": "json", "compression": "none"}))
            .await?;
        check_file(&world, &api, &api.completed(&job).await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn jobs_wait_while_a_profile_could_make_them_short() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let settings = [(USER, "proxied_short")];
    let api = world.api(&settings).await?;
    let worker = world.worker(&settings).await?;
    let (status, readiness) = api.get("/readyz").await?;
    assert_eq!(
        (status, &readiness["status"]),
        (StatusCode::OK, &json!("degraded"))
    );
    assert_eq!(
        readiness["dependencies"]["clickhouse"]["detail"],
        "The profile of the ClickHouse user must say: limit = 0, offset = 0."
    );
    let id = api.accepted(&json!({})).await?;
    eventually("the worker to say so", async || {
        let log = std::fs::read_to_string(worker.log())?;
        Ok(log.contains("lets answers be short").then_some(()))
    })
    .await?;
    worker.stop(std::time::Duration::from_secs(20)).await?;
    let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM export_jobs")
        .fetch_one(&mut world.postgres().await?)
        .await?;
    assert_eq!(attempts, 0);

    let _worker = world.worker(&[]).await?;
    let job = api.completed(&id).await?;
    assert_eq!(job["file"]["rows"], 100);
    Ok(())
}
