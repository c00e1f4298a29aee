//! Tables that change while the service runs.

use anyhow::{Result, ensure};
use e2e::{World, eventually};
use serde_json::{Value, json};

use crate::files;

/// What the service misses of a dataset, as `GET /readyz` says.
fn missing(ready: &Value, dataset: &str) -> Vec<String> {
    let all = ready["missing"].as_array().into_iter().flatten();
    let of_dataset = all.filter(|missing| missing["dataset"] == dataset);
    of_dataset
        .filter_map(|missing| missing["what"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_column_goes_and_a_table_comes() -> Result<()> {
    let world = World::new().await?.with_tables(&["otel.sql"]).await?;
    world.seed("otel", &world.ours, 100).await?;
    let often = [("EXPORT__DATASETS__LOOK_INTERVAL_S", "1")];
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let body = json!({"data_type": "logs", "format": "json"});
    let before = api.completed(&api.accepted(&body).await?).await?;

    // Neither process looks again by itself for minutes.
    let drop = "ALTER TABLE otel_logs DROP COLUMN ScopeName";
    world.clickhouse.run(drop, &[]).await?;
    let after = api.completed(&api.accepted(&body).await?).await?;
    ensure!(after["rows_exported"] == before["rows_exported"], "{after}");
    let rows = files::json_lines(&files::gunzip(&api.download(&after).await?.bytes)?)?;
    ensure!(rows.len() == 100, "{} rows", rows.len());
    ensure!(rows.iter().all(|row| row.get("scope_name").is_none()));
    ensure!(rows.iter().all(|row| row.get("scope_version").is_some()));

    let api = world.api(&often).await?;
    let ready = eventually("a look", async || {
        let (status, ready) = api.get("/readyz").await?;
        ensure!(status == 200 && ready["status"] == "ready", "{ready}");
        Ok(missing(&ready, "logs")
            .contains(&"column scope_name".to_owned())
            .then_some(ready))
    });
    let ready = ready.await?;
    ensure!(
        missing(&ready, "profiles") == ["table otel_profiles"],
        "{ready}"
    );
    let profiles = json!({"data_type": "profiles"});
    let (status, problem) = api.post(&profiles).await?;
    ensure!(status == 422, "{problem}");
    let said = problem.to_string();
    ensure!(
        said.contains("ClickHouse has no table otel_profiles"),
        "{said}"
    );

    world.clickhouse.script("otel_0_151.sql", &[]).await?;
    eventually("the new table", async || {
        let (_, offered) = api.get("/api/v1/export/datasets").await?;
        Ok(offered.to_string().contains("profile_id").then_some(()))
    })
    .await
}
