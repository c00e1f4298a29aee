//! An organization with much to export does not make others wait.

use anyhow::Result;
use e2e::World;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn the_export_of_another_organization_is_begun_next() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let mut ours = Vec::new();
    for _ in 0..20 {
        ours.push(api.accepted(&json!({})).await?);
    }
    let theirs = api.accepted_as(&world.theirs, &json!({})).await?;

    // One job at a time, so that there is one order.
    let _worker = world.worker(&[("EXPORT__WORKER__JOBS", "1")]).await?;
    for id in &ours {
        api.completed(id).await?;
    }
    let order = "SELECT job_id FROM export_jobs ORDER BY started_at";
    let order: Vec<Uuid> = sqlx::query_scalar(order)
        .fetch_all(&mut world.postgres().await?)
        .await?;
    assert_eq!(order[0].to_string(), ours[0]);
    assert_eq!(
        order[1].to_string(),
        theirs,
        "behind the one that was posted first"
    );
    Ok(())
}
