//! What a form learns before an export is made, and what of it comes true.

use anyhow::{Context, Result, ensure};
use e2e::{Api, Tenant, World, eventually, proxy_before, whole_request};
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Asks as a tenant what an export of 2026-01-01 would be.
async fn estimate(api: &Api, tenant: &Tenant, changes: &Value) -> Result<Value> {
    let body = whole_request(changes)?;
    let path = "/api/v1/export/estimate";
    let answer = api.send_as(tenant, Method::POST, path, Some(&body)).await?;
    let (status, estimate) = (answer.status(), answer.json().await?);
    ensure!(status == StatusCode::OK, "{status}: {estimate}");
    Ok(estimate)
}

#[tokio::test]
async fn an_estimate_comes_true() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 2_000).await?;
    world.seed("otel", &world.theirs, 300).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    for changes in [
        json!({}),
        json!({"format": "json", "compression": "none"}),
        json!({"data_type": "traces", "format": "parquet"}),
    ] {
        let before = estimate(&api, &world.ours, &changes).await?;
        assert_eq!(before["exact"], true, "{before}");
        assert_eq!(before["basis"], "sample", "{before}");
        let job = api.completed(&api.accepted(&changes).await?).await?;
        let file = &job["file"];
        assert_eq!(before["rows"], file["rows"], "{changes}");
        let estimated = before["size_bytes"].as_u64().context("a number")?;
        let size = file["size_bytes"].as_u64().context("a number")?;
        let is_near = estimated * 3 > size && estimated < size * 3;
        assert!(is_near, "{changes}: {estimated} were {size}");

        let after = estimate(&api, &world.ours, &changes).await?;
        assert_eq!(after["basis"], "exports", "{after}");
        assert_eq!(after["size_bytes"], size, "{after}");
    }
    let theirs = estimate(&api, &world.theirs, &json!({})).await?;
    assert_eq!(theirs["rows"], 300);
    assert_eq!(theirs["basis"], "sample", "one export is not told of");
    let filters = json!({"filters": {"service_name": "nobody"}});
    assert_eq!(estimate(&api, &world.ours, &filters).await?["rows"], 0);
    world.check_invariants().await
}

#[tokio::test]
async fn a_file_is_what_was_offered_and_what_its_manifest_says() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 20).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let (status, offer) = api.get("/api/v1/export/datasets").await?;
    assert_eq!(status, StatusCode::OK);
    let datasets = offer["datasets"].as_array().context("datasets")?;
    let logs = datasets.iter().find(|dataset| dataset["name"] == "logs");
    let offered = logs.context("logs")?["columns"]
        .as_array()
        .context("columns")?;

    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    let id = job["job_id"].as_str().context("an id")?;
    let (_, manifest) = api.get(&format!("/api/v1/export/{id}/manifest")).await?;
    let columns = manifest["columns"].as_array().context("columns")?;
    assert_eq!(columns.len(), offered.len());
    for (column, offered) in columns.iter().zip(offered) {
        for member in ["name", "type", "nullable"] {
            assert_eq!(column[member], offered[member]);
        }
    }
    assert_eq!(manifest["service_version"], env!("CARGO_PKG_VERSION"));

    let path = job["download_url"].as_str().context("a link")?;
    let head = api.send(Method::HEAD, path, None).await?;
    let location = head.headers()[LOCATION].to_str()?;
    let file = reqwest::Client::new().head(location).send().await?;
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(
        file.headers()["content-length"].to_str()?,
        job["file"]["size_bytes"].to_string()
    );
    Ok(())
}

#[tokio::test]
async fn exports_are_requested_while_clickhouse_is_down() -> Result<()> {
    let mut world = World::new().await?;
    let (clickhouse, url) = proxy_before(&world.env.clickhouse_url).await?;
    world.env.clickhouse_url = url;
    let api = world.api(&[]).await?;
    let (_, ready) = api.get("/readyz").await?;
    assert_eq!(ready["status"], "ready", "{ready}");
    clickhouse.refuse().await;
    let missed = eventually("ClickHouse to be missed", async || {
        let (status, ready) = api.get("/readyz").await?;
        let is_down = ready["dependencies"]["clickhouse"]["status"] == "down";
        Ok(is_down.then_some((status, ready)))
    });
    let (status, ready) = missed.await?;
    assert_eq!(status, StatusCode::OK, "requests are still taken");
    assert_eq!(ready["status"], "degraded", "{ready}");
    api.accepted(&json!({})).await?;
    Ok(())
}
