//! S3 fails, and the user is told the truth.

use anyhow::Result;
use devstack::Operation;
use e2e::World;
use reqwest::StatusCode;
use serde_json::json;

use crate::bucket::Bucket;

#[tokio::test]
async fn a_storage_that_is_busy_is_asked_again() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 30_000).await?;
    let Bucket { s3, .. } = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world
        .worker(&[("EXPORT__S3__PART_SIZE_BYTES", "5242880")])
        .await?;
    // Often enough that the client's own attempts are used up, and the job's are needed.
    s3.faults()
        .fail(Operation::UploadPart, StatusCode::SERVICE_UNAVAILABLE, 6);
    let large = json!({"compression": "none"});
    let job = api.completed(&api.accepted(&large).await?).await?;
    assert_eq!(job["file"]["rows"], 30_000);
    assert!(
        api.download(&job).await?.bytes.len() > 2 * 5_242_880,
        "several parts"
    );

    s3.faults()
        .fail(Operation::PutObject, StatusCode::INTERNAL_SERVER_ERROR, 2);
    let small = json!({"filters": {"body": "no such line"}});
    api.completed(&api.accepted(&small).await?).await?;
    s3.stop().await
}

#[tokio::test]
async fn denied_access_is_final_and_clear() -> Result<()> {
    let mut world = World::new().await?;
    let Bucket { s3, .. } = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    s3.faults()
        .fail(Operation::PutObject, StatusCode::FORBIDDEN, 1);
    let job = api.failed(&api.accepted(&json!({})).await?).await?;
    assert_eq!(job["error"]["code"], "storage_denied");
    let (status, problem) = api
        .get(&format!(
            "/api/v1/export/{}/download",
            job["job_id"].as_str().unwrap_or_default()
        ))
        .await?;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("export_failed"))
    );
    s3.stop().await
}

#[tokio::test]
async fn a_missing_bucket_is_final_and_clear() -> Result<()> {
    let mut world = World::new().await?;
    world.env.s3.bucket = "no-such-bucket".to_owned();
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let job = api.failed(&api.accepted(&json!({})).await?).await?;
    assert_eq!(job["error"]["code"], "storage_denied");
    Ok(())
}
