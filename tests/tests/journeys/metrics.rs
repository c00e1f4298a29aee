//! What operators see: both processes count what happens, and say so to Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use devstack::{Proxy, Service, free_port};
use e2e::{Api, Family, Scrape, World, eventually, proxy_before};
use reqwest::Method;
use serde_json::json;

const ROWS: u64 = 1_000;

/// Both processes, with ClickHouse and the API's Postgres behind proxies.
pub(crate) struct Journey {
    world: World,
    clickhouse: Proxy,
    postgres: Proxy,
    api: Api,
    api_port: u16,
    worker: Service,
    worker_port: u16,
}

impl Journey {
    pub(crate) async fn begin() -> Result<Self> {
        let mut world = World::new().await?;
        world.seed("otel", &world.ours, ROWS).await?;
        let (postgres, postgres_url) = proxy_before(&world.env.postgres_url).await?;
        let (clickhouse, url) = proxy_before(&world.env.clickhouse_url).await?;
        world.env.clickhouse_url = url;
        let (api_port, worker_port) = (free_port()?, free_port()?);
        let settings = [
            ("EXPORT__POSTGRES__URL", postgres_url.as_str()),
            (
                "EXPORT__HTTP__METRICS_LISTEN",
                &format!("127.0.0.1:{api_port}"),
            ),
        ];
        let attempts = [("EXPORT__RETRY__MAX_ATTEMPTS", "2")];
        Ok(Self {
            api: world.api(&settings).await?,
            api_port,
            worker: world.worker_at(worker_port, &attempts).await?,
            worker_port,
            world,
            clickhouse,
            postgres,
        })
    }

    /// Makes two files and fails to make a third.
    pub(crate) async fn work(&self) -> Result<()> {
        for format in ["csv", "parquet"] {
            let id = self.api.accepted(&json!({ "format": format })).await?;
            self.api.completed(&id).await?;
        }
        self.clickhouse.refuse().await;
        self.api
            .failed(&self.api.accepted(&json!({})).await?)
            .await?;
        self.clickhouse.heal().await?;
        self.world.mails(3).await?;
        self.world.check_invariants().await
    }

    pub(crate) async fn scrapes(&self) -> Result<[Scrape; 2]> {
        Ok([
            Scrape::of(self.api_port).await?,
            Scrape::of(self.worker_port).await?,
        ])
    }
}

#[tokio::test]
async fn what_has_happened_is_counted() -> Result<()> {
    let journey = Journey::begin().await?;
    journey.work().await?;
    let sizes = journey.world.objects().await?.into_values();
    let size = sizes.map(i64::unsigned_abs).sum::<u64>();
    let [api, worker] = journey.scrapes().await?;

    let ended = |outcome, code| {
        let labels = [("outcome", outcome), ("code", code)];
        worker.count("export_jobs_ended_total", &labels)
    };
    assert_eq!(ended("completed", "none")?, 2);
    assert_eq!(ended("failed", "source_unavailable")?, 1);
    assert_eq!(ended("failed", "internal")?, 0, "there before it happens");
    assert_eq!(worker.count("export_job_retries_total", &[])?, 1);
    assert_eq!(worker.count("export_leases_lost_total", &[])?, 0);
    for format in ["csv", "parquet"] {
        let labels = [("dataset", "logs"), ("format", format)];
        assert_eq!(worker.count("export_rows_total", &labels)?, 1_000);
        assert_eq!(
            worker.count("export_duration_seconds_count", &labels)?,
            1,
            "{format}"
        );
    }
    assert_eq!(worker.count("export_bytes_total", &[])?, size);
    assert_eq!(worker.count("export_jobs_running", &[])?, 0);
    let sent = [("outcome", "sent")];
    assert_eq!(worker.count("export_mails_total", &sent)?, 3);
    let stored = [("operation", "PutObject"), ("outcome", "ok")];
    assert_eq!(worker.count("export_s3_request_seconds_count", &stored)?, 2);
    let refused = [("purpose", "count"), ("outcome", "error")];
    assert_eq!(
        worker.count("export_clickhouse_query_seconds_count", &refused)?,
        2
    );

    let posted = [
        ("method", "POST"),
        ("route", "/api/v1/export"),
        ("status", "2xx"),
    ];
    assert_eq!(api.count("export_http_request_seconds_count", &posted)?, 3);
    let queued = [("outcome", "queued")];
    assert_eq!(api.count("export_wakeups_total", &queued)?, 3);
    assert_eq!(api.count("export_jobs", &[])?, 0);
    let service = [("service", "export-worker")];
    assert_eq!(worker.count("export_build_info", &service)?, 1);

    // Nobody can be told apart by what both say.
    for name in [journey.world.ours.organization, journey.world.ours.user] {
        assert!(!format!("{api:?}{worker:?}").contains(&name.to_string()));
    }
    journey.worker.stop(e2e::PATIENCE).await
}

#[tokio::test]
async fn jobs_that_wait_are_seen_and_so_are_clients_that_do() -> Result<()> {
    let journey = Journey::begin().await?;
    journey.worker.stop(e2e::PATIENCE).await?;
    let id = journey.api.accepted(&json!({})).await?;
    let events = format!("/api/v1/export/{id}/events");
    let events = journey.api.send(Method::GET, &events, None).await?;
    // The queue is looked at every five seconds at most.
    let due = [("state", "due")];
    eventually("a job that waits", async || {
        let api = Scrape::of(journey.api_port).await?;
        let age = api.value("export_queue_age_seconds")?;
        let waits = api.count("export_jobs", &due)? == 1 && age > 0.0;
        Ok(waits.then_some(()))
    })
    .await?;
    let watchers = || async {
        let api = Scrape::of(journey.api_port).await?;
        api.count("export_watchers", &[])
    };
    assert_eq!(watchers().await?, 1);
    drop(events);
    eventually("nobody to watch", async || {
        Ok((watchers().await? == 0).then_some(()))
    })
    .await?;
    journey.api.delete(&id).await?;
    let cancelled = [("outcome", "cancelled")];
    let api = Scrape::of(journey.api_port).await?;
    assert_eq!(api.count("export_jobs_ended_total", &cancelled)?, 1);
    Ok(())
}

#[tokio::test]
async fn a_postgres_that_is_away_is_said_and_nothing_is_made_up() -> Result<()> {
    let journey = Journey::begin().await?;
    let is_known = || async {
        let api = Scrape::of(journey.api_port).await?;
        let age = api.value("export_queue_age_seconds")?;
        let known = api.count("export_queue_known", &[])? == 1;
        anyhow::ensure!(known != age.is_nan(), "{known}, {age}");
        Ok(known)
    };
    assert!(is_known().await?);
    journey.postgres.refuse().await;
    eventually("that it is noticed", async || {
        Ok((!is_known().await?).then_some(()))
    })
    .await?;
    Scrape::of(journey.worker_port).await?;
    journey.postgres.heal().await?;
    eventually("that it is back", async || {
        Ok(is_known().await?.then_some(()))
    })
    .await
}

#[tokio::test]
async fn every_metric_is_described_as_it_is() -> Result<()> {
    let journey = Journey::begin().await?;
    journey.work().await?;
    let said = journey.scrapes().await?.map(|scrape| scrape.families);
    let mut said: BTreeMap<_, _> = said.into_iter().flatten().collect();
    said.retain(|name, _| !name.starts_with("process_"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let guide = fs::read_to_string(path)?;
    let rows = guide.lines().filter(|line| line.starts_with("| `export_"));
    let written = rows
        .map(|row| described(row).with_context(|| row.to_owned()))
        .collect::<Result<BTreeMap<_, _>>>()?;
    assert_eq!(written, said);
    Ok(())
}

/// Reads a row of the table: name, kind, labels, help.
fn described(row: &str) -> Option<(String, Family)> {
    let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let [name, kind, labels, help] = cells[..] else {
        return None;
    };
    let labels = labels.split(", ").filter(|label| !label.is_empty());
    let family = Family {
        kind: kind.to_owned(),
        help: help.to_owned(),
        labels: labels
            .map(|label| label.trim_matches('`').to_owned())
            .collect(),
    };
    Some((name.trim_matches('`').to_owned(), family))
}
