//! Who sees one tenant of an organization never sees another's rows, or exports that have them.

use anyhow::{Context, Result};
use e2e::{Api, World, eventually, whole_request};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform_tokens::{CONFIG, token_with};
use crate::{files, reference};

const ROWS: u64 = 400;

/// The service with the platform's tables and tokens, and telemetry of several tenants.
async fn started(world: &World) -> Result<(Api, devstack::Service)> {
    world.seed("telemetryflow", &world.ours, ROWS).await?;
    world.seed("telemetryflow", &world.theirs, ROWS).await?;
    Ok((world.api(&[CONFIG]).await?, world.worker(&[CONFIG]).await?))
}

/// Our user, who sees only a tenant.
fn of_tenant(world: &World, tenant: &str) -> Result<String> {
    token_with(world, &json!({ "tenantId": tenant }))
}

/// What ClickHouse says are our rows of a tenant.
async fn rows_of(world: &World, tenant: &str) -> Result<Vec<Value>> {
    let ours = &world.ours;
    let rows = reference::rows(&world.clickhouse, "telemetryflow", "logs", ours).await?;
    let rows = rows.into_iter().filter(|row| row["tenant_id"] == tenant);
    Ok(rows.collect())
}

async fn answer(api: &Api, method: Method, path: &str) -> Result<(StatusCode, Value)> {
    let answer = api.send(method, path, None).await?;
    Ok((answer.status(), answer.json().await.unwrap_or_default()))
}

#[tokio::test]
async fn no_filter_reaches_rows_of_another_tenant() -> Result<()> {
    let world = World::new().await?;
    let (mut api, _worker) = started(&world).await?;
    let ours = rows_of(&world, "tenant-1").await?;
    let count = ours.len();
    assert!((1..200).contains(&count), "{count} of {ROWS}");
    api.log_in(of_tenant(&world, "tenant-1")?);
    let tenant = |op: &str, value: &str| json!({"field": "tenant_id", "op": op, "value": value});
    for (filters, expected) in [
        (json!(null), count),
        (tenant("eq", "tenant-2"), 0),
        (tenant("ne", "tenant-1"), 0),
        (json!({"not": tenant("eq", "tenant-2")}), count),
        (
            json!({"any": [tenant("eq", "tenant-2"), {"not": tenant("eq", "tenant-2")}]}),
            count,
        ),
        (
            json!({"any": [{"field": "tenant_id", "op": "exists", "value": false}]}),
            0,
        ),
        (json!({"body": "x') OR (1=1"}), 0),
    ] {
        let body = json!({"format": "json", "filters": filters});
        let job = api.completed(&api.accepted(&body).await?).await?;
        let file = files::json_lines(&files::gunzip(&api.download(&job).await?.bytes)?)?;
        assert_eq!(file.len(), expected, "{filters}");
        if expected > 0 {
            reference::check(file, ours.clone())?;
        }
        let estimate = api.request(Method::POST, "/api/v1/export/estimate");
        let estimate = estimate.json(&whole_request(&body)?).send().await?;
        let estimate: Value = estimate.json().await?;
        assert_eq!(estimate["rows"], expected, "{filters}: {estimate}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_token_narrowed_is_kept_and_shown() -> Result<()> {
    let world = World::new().await?;
    let (mut api, _worker) = started(&world).await?;
    let workspace = "6b1f3c52-6f0a-4c1e-9d3b-00000000000a";
    let claims = json!({ "tenantId": "tenant-1", "workspaceId": workspace });
    api.log_in(token_with(&world, &claims)?);
    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    let both = json!({ "tenant_id": "tenant-1", "workspace_id": workspace });
    assert_eq!(job["narrowed_to"], both);
    let id = job["job_id"].as_str().context("an id")?;
    let (_, manifest) = api.get(&format!("/api/v1/export/{id}/manifest")).await?;
    assert_eq!(manifest["narrowed_to"], both, "{manifest}");
    let rows = rows_of(&world, "tenant-1").await?;
    let rows = rows.iter().filter(|row| row["workspace_id"] == workspace);
    assert_eq!(manifest["rows"], rows.count());
    assert!(manifest["rows"].as_u64() > Some(0), "{manifest}");

    // Whoever sees both, one, or all has it; another tenant has not, even its admin.
    let admin = ["platform:manage"];
    for (claims, status) in [
        (claims, StatusCode::OK),
        (json!({ "tenantId": "tenant-1" }), StatusCode::OK),
        (json!({}), StatusCode::OK),
        (json!({ "tenantId": "tenant-2" }), StatusCode::NOT_FOUND),
        (
            json!({ "tenantId": "tenant-2", "permissions": admin }),
            StatusCode::NOT_FOUND,
        ),
        (json!({ "tenantId": "" }), StatusCode::NOT_FOUND),
        (
            json!({ "tenantId": ["tenant-1"] }),
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        api.log_in(token_with(&world, &claims)?);
        let (found, _) = answer(&api, Method::GET, &format!("/api/v1/export/{id}")).await?;
        assert_eq!(found, status, "{claims}");
    }
    Ok(())
}

#[tokio::test]
async fn an_export_of_the_organization_is_not_there_for_one_tenant() -> Result<()> {
    let world = World::new().await?;
    let (mut api, _worker) = started(&world).await?;
    api.log_in(token_with(&world, &json!({}))?);
    let wide = api.accepted(&json!({})).await?;
    let job = api.completed(&wide).await?;
    assert_eq!(job["narrowed_to"], json!({}));
    assert_eq!(job["file"]["rows"], ROWS);

    // Who made it may not see all of its rows any more; nor may an admin of one tenant.
    for permissions in [["telemetry:manage"], ["platform:manage"]] {
        let claims = json!({ "tenantId": "tenant-1", "permissions": permissions });
        api.log_in(token_with(&world, &claims)?);
        for (method, below) in [
            (Method::GET, ""),
            (Method::GET, "/download"),
            (Method::GET, "/manifest"),
            (Method::GET, "/events"),
            (Method::DELETE, "/links"),
            (Method::DELETE, ""),
        ] {
            let path = format!("/api/v1/export/{wide}{below}");
            let (status, problem) = answer(&api, method.clone(), &path).await?;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {problem}");
        }
        let (_, page) = api.get("/api/v1/export").await?;
        assert_eq!(page["exports"], json!([]), "{page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_schedule_stays_narrowed() -> Result<()> {
    let world = World::new().await?;
    let (mut api, _worker) = started(&world).await?;
    api.log_in(of_tenant(&world, "tenant-1")?);
    let body = json!({
        "name": "daily", "cron": "0 3 * * *", "time_zone": "UTC", "last": "day",
        "export": { "data_type": "logs", "format": "csv" },
    });
    let path = "/api/v1/export/schedules";
    let schedule: Value = api
        .send(Method::POST, path, Some(&body))
        .await?
        .json()
        .await?;
    assert_eq!(schedule["narrowed_to"], json!({ "tenant_id": "tenant-1" }));
    let id = schedule["schedule_id"].as_str().context("an id")?;
    // A run of the second of January is of the first.
    sqlx::query("UPDATE export_schedules SET next_run_at = '2026-01-02 03:00Z' WHERE schedule_id = $1::uuid")
        .bind(id)
        .execute(&mut world.postgres().await?)
        .await?;
    let job = eventually("a run", async || {
        let (_, schedule) = api.get(&format!("{path}/{id}")).await?;
        Ok(schedule["last_job_id"].as_str().map(str::to_owned))
    })
    .await?;
    let job = api.completed(&job).await?;
    assert_eq!(job["narrowed_to"], json!({ "tenant_id": "tenant-1" }));

    api.log_in(of_tenant(&world, "tenant-2")?);
    let (status, _) = api.get(&format!("{path}/{id}")).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, schedules) = api.get(path).await?;
    assert_eq!(schedules["schedules"], json!([]), "{schedules}");
    Ok(())
}

#[tokio::test]
async fn a_key_of_one_tenant_is_not_answered_with_the_export_of_another() -> Result<()> {
    let world = World::new().await?;
    let (mut api, _worker) = started(&world).await?;
    let mut statuses = Vec::new();
    for tenant in ["tenant-1", "tenant-1", "tenant-2"] {
        api.log_in(of_tenant(&world, tenant)?);
        let request = api.request(Method::POST, "/api/v1/export");
        let request = request.header("idempotency-key", "today");
        let answer = request.json(&whole_request(&json!({}))?).send().await?;
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses, [202, 202, 422]);
    Ok(())
}

#[tokio::test]
async fn a_dataset_that_cannot_be_narrowed_is_not_offered() -> Result<()> {
    let world = World::new().await?;
    // The collector's tables have no such column.
    let otel = ("EXPORT__DATASETS__PRESET", "otel");
    let mut api = world.api(&[CONFIG, otel]).await?;
    for (tenant, datasets) in [(json!(null), true), (json!("tenant-1"), false)] {
        api.log_in(token_with(&world, &json!({ "tenantId": tenant }))?);
        let (_, offer) = api.get("/api/v1/export/datasets").await?;
        let offered = offer["datasets"].as_array().context("a list")?;
        assert_eq!(!offered.is_empty(), datasets, "{offer}");
    }
    let (status, problem) = api.post(&json!({})).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0]["pointer"], "/data_type", "{problem}");
    let detail = problem["errors"][0]["detail"]
        .as_str()
        .context("a detail")?;
    assert!(detail.contains("tenant_id"), "{detail}");
    Ok(())
}
