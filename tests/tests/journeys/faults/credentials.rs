//! A password that is changed while a job runs costs it nothing.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::{World, eventually, proxy_before};
use serde_json::json;
use sqlx::AssertSqlSafe;
use url::Url;
use uuid::Uuid;

/// Changes the password of a role.
async fn change(world: &World, role: &str, password: &str) -> Result<()> {
    let sql = format!("ALTER ROLE {role} PASSWORD '{password}'");
    sqlx::query(AssertSqlSafe(sql))
        .execute(&mut world.postgres().await?)
        .await?;
    Ok(())
}

/// Ends the connections of a role.
async fn end_connections(world: &World, role: &str) -> Result<()> {
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1")
        .bind(role)
        .execute(&mut world.postgres().await?)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_password_is_changed_while_a_job_runs() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 20_000).await?;
    let role = format!("rotating_{}", Uuid::new_v4().simple());
    let sql = format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'before'");
    sqlx::query(AssertSqlSafe(sql))
        .execute(&mut world.postgres().await?)
        .await?;
    let url = |password: &str| -> Result<String> {
        let mut url = Url::parse(&world.env.postgres_url)?;
        let changed = url
            .set_username(&role)
            .and_then(|()| url.set_password(Some(password)));
        ensure!(changed.is_ok(), "the URL has no user");
        Ok(url.into())
    };
    let file = world.dir.path().join("postgres-url");
    fs::write(&file, url("before")?)?;
    let (clickhouse, clickhouse_url) = proxy_before(&world.env.clickhouse_url).await?;
    let api = world.api(&[]).await?;
    let worker = world
        .worker(&[
            ("EXPORT__POSTGRES__URL", &url("before")?),
            (
                "EXPORT__POSTGRES__URL_FILE",
                file.to_str().context("a path")?,
            ),
            ("EXPORT__CLICKHOUSE__URL", &clickhouse_url),
            ("EXPORT__PIPELINE__PROGRESS_INTERVAL_MS", "50"),
        ])
        .await?;
    clickhouse.throttle(500_000);
    let id = api.accepted(&json!({"format": "csv"})).await?;
    eventually("rows to come", async || {
        let (_, job) = api.get(&format!("/api/v1/export/{id}")).await?;
        Ok((job["status"] == "PROCESSING").then_some(()))
    })
    .await?;

    change(&world, &role, "after").await?;
    eventually("the worker to be refused", async || {
        // Again and again: one may have been let in and not be shown yet.
        end_connections(&world, &role).await?;
        let log = fs::read_to_string(worker.log())?;
        Ok(log.contains("password authentication failed").then_some(()))
    })
    .await
    .with_context(|| fs::read_to_string(worker.log()).unwrap_or_default())?;
    fs::write(&file, url("after")?)?;
    clickhouse.throttle(100_000_000);
    let job = api.completed(&id).await?;
    assert_eq!(job["file"]["rows"], 20_000);
    let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM export_jobs")
        .fetch_one(&mut world.postgres().await?)
        .await?;
    assert_eq!(attempts, 1);
    world.mails(1).await?;
    Ok(())
}
