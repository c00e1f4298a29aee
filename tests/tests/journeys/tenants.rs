//! One organization never sees another's jobs or rows.

use anyhow::Result;
use e2e::World;
use reqwest::StatusCode;
use serde_json::json;

use crate::{files, reference};

#[tokio::test]
async fn another_organizations_job_is_not_there() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    let id = job["job_id"].as_str().unwrap_or_default();
    for path in [
        format!("/api/v1/export/{id}"),
        format!("/api/v1/export/{id}/download"),
    ] {
        let answer = api.get_as(&world.theirs, &path).await?;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let theirs: serde_json::Value = answer.json().await?;
        let missing = path.replace(id, "01a20ce0-d4ad-717c-80f9-898633bc7899");
        let none: serde_json::Value = api.get_as(&world.theirs, &missing).await?.json().await?;
        assert_eq!(theirs["code"], "not_found");
        assert_eq!(
            theirs["detail"], none["detail"],
            "it does not tell whether the job exists"
        );
    }
    Ok(())
}

#[tokio::test]
async fn no_filter_reaches_another_organizations_rows() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 200).await?;
    world.seed("otel", &world.theirs, 200).await?;
    let theirs = world.theirs.organization.to_string();
    let ours = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let tenant_is = |op: &str| json!({"field": "resource_attributes.telemetryflow.organization.id", "op": op, "value": theirs});
    for (filters, rows) in [
        (tenant_is("eq"), 0),
        (
            json!({"any": [tenant_is("eq"), {"not": tenant_is("eq")}]}),
            200,
        ),
        (
            json!({"any": [{"field": "body", "op": "ne", "value": "' OR 1=1 --"}, tenant_is("eq")]}),
            200,
        ),
        (json!({"body": "x') OR (1=1"}), 0),
        (json!({"body": "\\' OR '1'='1"}), 0),
        (json!({"attributes.a') OR (1=1": "b"}), 0),
        (
            json!({"not": {"field": "attributes.x'] OR 1=1 --", "op": "exists"}}),
            200,
        ),
    ] {
        let id = api
            .accepted(&json!({"format": "json", "filters": filters}))
            .await?;
        let job = api.completed(&id).await?;
        let file = files::json_lines(&files::gunzip(&api.download(&job).await?.bytes)?)?;
        assert_eq!(file.len(), rows, "{filters}");
        if rows > 0 {
            reference::check(file, ours.clone())?;
        }
    }
    Ok(())
}
