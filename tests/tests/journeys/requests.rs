//! What is wrong with a request, and what is up.

use anyhow::Result;
use devstack::Redis;
use e2e::{World, eventually};
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test]
async fn everything_wrong_is_told_at_once() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let (status, problem) = api
        .post(&json!({
            "format": "parquet", "compression": "gzip", "end_time": "2026-01-01T00:00:00Z", "colour": "red",
            "columns": ["body", "nonsense"],
            "filters": {"all": [
                {"field": "nowhere", "op": "eq", "value": 1},
                {"field": "severity_number", "op": "eq", "value": "high"},
                {"field": "body", "op": "resembles", "value": "x"},
            ]},
        }))
        .await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["code"], "invalid_request");
    let mut pointers: Vec<_> = problem["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    pointers.sort_unstable();
    for pointer in [
        "/colour",
        "/columns/1",
        "/compression",
        "/end_time",
        "/filters/all/2/op",
    ] {
        assert!(
            pointers.contains(&pointer),
            "{pointer} is not among {pointers:?}"
        );
    }

    let (_, problem) = api
        .post(&json!({"filters": {"nowhere": 1, "severity_number": "high"}}))
        .await?;
    assert_eq!(
        problem["errors"].as_array().map(Vec::len),
        Some(2),
        "{problem}"
    );
    let (_, problem) = api.post(&json!({"data_type": "secrets"})).await?;
    assert_eq!(problem["errors"][0]["pointer"], "/data_type");
    Ok(())
}

#[tokio::test]
async fn readiness_names_what_is_down() -> Result<()> {
    let mut world = World::new().await?;
    let redis = Redis::start(&world.dir.path().join("redis")).await?;
    world.env.redis_url = redis.url();
    let api = world.api(&[]).await?;
    let (status, ready) = api.get("/readyz").await?;
    assert_eq!(
        (status, &ready["status"]),
        (StatusCode::OK, &json!("ready")),
        "{ready}"
    );
    redis.kill().await?;
    let degraded = eventually("Redis to be missed", async || {
        let (status, ready) = api.get("/readyz").await?;
        Ok((ready["status"] == "degraded").then_some((status, ready)))
    });
    let (status, ready) = degraded.await?;
    assert_eq!(status, StatusCode::OK, "requests are still taken");
    assert!(ready.to_string().contains("redis"), "{ready}");
    redis.stop().await
}
