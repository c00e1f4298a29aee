//! What an organization may have and use.

use anyhow::Result;
use e2e::World;
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn jobs_over_the_limit_wait_and_others_do_not() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 2_000).await?;
    let api = world.api(&[]).await?;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(api.accepted(&json!({})).await?);
    }
    let limited = [
        ("EXPORT__WORKER__JOBS", "4"),
        ("EXPORT__QUOTAS__MAX_RUNNING", "1"),
    ];
    let _workers = (world.worker(&limited).await?, world.worker(&limited).await?);
    api.accepted_as(&world.theirs, &json!({})).await?;
    for id in &ids {
        api.completed(id).await?;
    }
    let order: Vec<String> = sqlx::query_scalar(
        "SELECT kind FROM export_events JOIN export_jobs USING (job_id)
         WHERE organization_id = $1 AND kind IN ('started', 'completed') ORDER BY event_id",
    )
    .bind(world.ours.organization)
    .fetch_all(&mut world.postgres().await?)
    .await?;
    assert_eq!(order, ["started", "completed"].repeat(4), "one at a time");
    // The other organization's is done, too.
    world.check_invariants().await
}

#[tokio::test]
async fn rows_of_the_day_are_used_up_by_exporting_them() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 200).await?;
    let api = world
        .api(&[("EXPORT__QUOTAS__MAX_ROWS_PER_DAY", "200")])
        .await?;
    let _worker = world.worker(&[]).await?;
    api.completed(&api.accepted(&json!({})).await?).await?;
    let (status, problem): (_, Value) = api.post(&json!({})).await?;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem}");
    assert_eq!(problem["code"], "row_quota_exceeded");
    assert_eq!(problem["quota"], json!({"limit": 200, "used": 200}));
    Ok(())
}
