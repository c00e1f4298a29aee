//! Postgres goes away for a while: the API says so, and a running export goes on.

use anyhow::Result;
use devstack::{Proxy, Service};
use e2e::{Api, World, eventually};
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bucket::{Bucket, insert_bulk, proxy_before};
use crate::exports::{check_file, plain_as_stored};

const ROWS: u64 = 10_000;

/// A world whose binaries reach Postgres and ClickHouse through proxies.
struct Journey {
    world: World,
    bucket: Bucket,
    postgres: Proxy,
    clickhouse: Proxy,
    api: Api,
    worker: Service,
}

impl Journey {
    async fn begin(lease_s: &str) -> Result<Self> {
        let mut world = World::new().await?;
        insert_bulk(&world, &world.ours, ROWS).await?;
        let bucket = Bucket::start(&mut world).await?;
        let (postgres, postgres_url) = proxy_before(&world.env.postgres_url).await?;
        let (clickhouse, clickhouse_url) = proxy_before(&world.env.clickhouse_url).await?;
        let settings = [
            ("EXPORT__POSTGRES__URL", postgres_url.as_str()),
            ("EXPORT__POSTGRES__ACQUIRE_TIMEOUT_MS", "2000"),
            ("EXPORT__CLICKHOUSE__URL", &clickhouse_url),
            ("EXPORT__WORKER__LEASE_S", lease_s),
            ("EXPORT__PIPELINE__BLOCK_ROWS", "200"),
            ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
            ("EXPORT__PIPELINE__PROGRESS_INTERVAL_MS", "50"),
        ];
        let api = world.api(&settings).await?;
        let worker = world.worker(&settings).await?;
        Ok(Self {
            world,
            bucket,
            postgres,
            clickhouse,
            api,
            worker,
        })
    }

    /// Starts an export that goes slowly, and returns its id once some of its rows are stored: an
    /// upload that Postgres was not told of in time is for the sweep.
    async fn slow_export(&self) -> Result<String> {
        self.clickhouse.throttle(2_000_000);
        let id = self.api.accepted(&plain_as_stored()).await?;
        self.bucket.part_arrived().await?;
        Ok(id)
    }

    /// Brings Postgres back, waits for the whole file, and returns how many attempts it took.
    async fn attempts(&self, id: &str) -> Result<i32> {
        self.postgres.heal().await?;
        eventually("the API to be ready again", async || {
            let (status, _) = self.api.get("/readyz").await?;
            Ok((status == StatusCode::OK).then_some(()))
        })
        .await?;
        let job = self.api.completed(id).await?;
        check_file(&self.world, &self.api, &job).await?;
        self.world.check_invariants().await?;
        let attempts = sqlx::query_scalar("SELECT attempts FROM export_jobs");
        Ok(attempts
            .fetch_one(&mut self.world.postgres().await?)
            .await?)
    }
}

async fn problem(api: &Api, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
    let answer = api.send(method, path, body).await?;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    Ok(answer.json().await?)
}

#[tokio::test]
async fn an_outage_shorter_than_the_lease_costs_no_attempt() -> Result<()> {
    let journey = Journey::begin("30").await?;
    let id = journey.slow_export().await?;
    journey.postgres.refuse().await;
    let job = problem(
        &journey.api,
        Method::GET,
        &format!("/api/v1/export/{id}"),
        None,
    )
    .await?;
    assert_eq!(job["code"], "unavailable");
    let body = json!({
        "data_type": "logs", "format": "csv",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
    });
    let posted = problem(&journey.api, Method::POST, "/api/v1/export", Some(&body)).await?;
    assert_eq!(posted["code"], "unavailable");
    let (status, ready) = journey.api.get("/readyz").await?;
    assert_eq!(
        (status, &ready["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("down"))
    );
    assert_eq!(ready["dependencies"]["postgres"]["status"], "down");
    assert_eq!(ready["dependencies"]["s3"]["status"], "up");
    assert_eq!(journey.attempts(&id).await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_outage_at_the_very_end_costs_no_attempt() -> Result<()> {
    let journey = Journey::begin("30").await?;
    let id = journey.slow_export().await?;
    journey.postgres.refuse().await;
    journey.clickhouse.heal().await?;
    // The file is not put together before Postgres knows of it.
    eventually("all parts of the file", async || {
        let log = std::fs::read_to_string(journey.worker.log())?;
        Ok(log.contains("the state is not noted yet").then_some(()))
    })
    .await?;
    assert_eq!(journey.bucket.objects()?, [""; 0]);
    assert_eq!(journey.attempts(&id).await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_outage_longer_than_the_lease_is_survived() -> Result<()> {
    let journey = Journey::begin("2").await?;
    let id = journey.slow_export().await?;
    journey.postgres.refuse().await;
    eventually("the end of the lease", async || {
        let over = sqlx::query_scalar("SELECT lease_until < now() FROM export_jobs");
        let over: Option<bool> = over.fetch_one(&mut journey.world.postgres().await?).await?;
        Ok((over == Some(true)).then_some(()))
    })
    .await?;
    journey.clickhouse.heal().await?;
    assert!(journey.attempts(&id).await? >= 1);
    Ok(())
}
