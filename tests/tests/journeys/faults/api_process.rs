//! The API dies or is out of connections, and what it has accepted is done.

use anyhow::Result;
use e2e::World;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::exports::{SOON, TableLock, count};

#[tokio::test]
async fn a_job_is_done_although_the_api_dies_behind_its_answer() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let api = world.api(&[]).await?;
        ids.push(api.accepted(&json!({})).await?);
        api.service.kill().await?;
    }
    let _worker = world.worker(&[]).await?;
    let api = world.api(&[]).await?;
    for id in &ids {
        let job = api.completed(id).await?;
        assert_eq!(job["file"]["rows"], 50);
        api.download(&job).await?;
    }
    world.check_invariants().await
}

#[tokio::test]
async fn an_api_without_a_free_connection_says_so_and_loses_nothing() -> Result<()> {
    let world = World::new().await?;
    let one_connection = [
        ("EXPORT__POSTGRES__MAX_CONNECTIONS", "1"),
        ("EXPORT__POSTGRES__ACQUIRE_TIMEOUT_MS", "300"),
    ];
    let api = world.api(&one_connection).await?;
    let body = json!({
        "data_type": "logs", "format": "csv",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
    });
    let post = async || {
        let sent = api
            .send(Method::POST, "/api/v1/export", Some(&body))
            .await?;
        anyhow::Ok(sent)
    };
    let lock = TableLock::take(&world, "export_jobs").await?;
    let (first, refused) = tokio::join!(post(), async {
        lock.waited_for(&world).await?;
        let refused = post().await?;
        lock.release().await?;
        anyhow::Ok(refused)
    });
    let (first, refused) = (first?, refused?);
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    let problem: Value = refused.json().await?;
    assert_eq!(problem["code"], "unavailable");
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    let first: Value = first.json().await?;
    let again = post().await?;
    assert_eq!(again.status(), StatusCode::ACCEPTED);

    let worker = world.worker(&[]).await?;
    let id = first["job_id"].as_str().unwrap_or_default();
    api.completed(id).await?;
    world.check_invariants().await?;
    let jobs = "SELECT count(*) FROM export_jobs";
    assert_eq!(count(&world, jobs).await?, 2, "as many as were accepted");
    worker.stop(SOON).await
}
