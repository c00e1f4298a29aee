//! Workers whose clocks are wrong: leases and expiry go by the clock of Postgres.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use devstack::Proxy;
use e2e::{Api, World, eventually};
use reqwest::Url;

use crate::bucket::proxy_before;
use crate::exports::{ask, check_file, claimed, plain, until};

/// How wrong the clocks are; more than 15 minutes no S3 accepts.
const AHEAD: &str = "+10m";
const BEHIND: &str = "-10m";

/// Finds the library that the package `faketime` installs.
fn libfaketime() -> Result<PathBuf> {
    let arch = std::env::consts::ARCH;
    [format!("{arch}-linux-gnu/"), String::new()]
        .iter()
        .map(|dir| {
            Path::new("/usr/lib")
                .join(dir)
                .join("faketime/libfaketime.so.1")
        })
        .find(|path| path.is_file())
        .context("libfaketime is not installed: run `cargo xtask demo`")
}

/// A world in which a job waits for a ClickHouse that stalls, and workers may have wrong clocks.
struct Clocks {
    world: World,
    api: Api,
    clickhouse: Proxy,
    preload: String,
}

impl Clocks {
    async fn new() -> Result<Self> {
        let mut world = World::new().await?;
        world.seed("otel", &world.ours, 100).await?;
        let (clickhouse, url) = proxy_before(&world.env.clickhouse_url).await?;
        world.env.clickhouse_url = url;
        clickhouse.stall_after(0);
        Ok(Self {
            api: world.api(&[]).await?,
            world,
            clickhouse,
            preload: libfaketime()?.to_string_lossy().into_owned(),
        })
    }

    /// Starts a worker whose time of day is wrong. How long things take it knows.
    async fn worker(&self, offset: &str) -> Result<devstack::Service> {
        let settings = [
            ("LD_PRELOAD", self.preload.as_str()),
            ("FAKETIME", offset),
            ("DONT_FAKE_MONOTONIC", "1"),
            ("EXPORT__WORKER__LEASE_S", "2"),
            ("EXPORT__LOG__FORMAT", "json"),
        ];
        self.world.worker(&settings).await
    }

    /// Has a worker with one clock keep a job through several leases and die, and one with another
    /// clock do it.
    async fn hand_over(&self, from: &str, to: &str) -> Result<()> {
        let world = &self.world;
        let first = self.worker(from).await?;
        let id = self.api.accepted(&plain()).await?;
        claimed(world, &id, 1).await?;
        let second = self.worker(to).await?;
        let renewed = "SELECT token = 1 AND lease_until > started_at + interval '6 s'
                       FROM export_jobs WHERE job_id = $1::uuid";
        until(world, &id, renewed).await?;
        first.kill().await?;
        let sql = "SELECT lease_until FROM export_jobs WHERE job_id = $1::uuid AND token = 1";
        let lease_until: DateTime<Utc> = ask(world, &id, sql).await?;
        claimed(world, &id, 2).await?;
        let sql = "SELECT updated_at FROM export_jobs WHERE job_id = $1::uuid AND token = 2";
        let taken: DateTime<Utc> = ask(world, &id, sql).await?;
        let late = taken - lease_until;
        ensure!(
            (TimeDelta::zero()..TimeDelta::seconds(5)).contains(&late),
            "{late}"
        );

        self.clickhouse.heal().await?;
        let job = self.api.completed(&id).await?;
        check_file(world, &self.api, &job).await?;
        let right = "SELECT expires_at = completed_at + interval '7 days'
                     AND completed_at BETWEEN now() - interval '1 min' AND now()
                     FROM export_jobs WHERE job_id = $1::uuid";
        ensure!(ask::<bool>(world, &id, right).await?);
        self.check_mail(&id).await?;
        world.check_invariants().await?;
        drop(second);
        Ok(())
    }

    /// Checks that the link of the mail works, and ends when the file does.
    async fn check_mail(&self, id: &str) -> Result<()> {
        let mail = self.world.mails(1).await?.remove(0);
        let link = mail
            .text
            .split_whitespace()
            .find(|word| word.contains("X-Amz-Signature"))
            .context("a link")?;
        self.api.fetch(link).await?;
        let url = Url::parse(link)?;
        let parameter = |wanted: &str| {
            let found = url.query_pairs().find(|(name, _)| name == wanted);
            found
                .map(|(_, value)| value.into_owned())
                .context(wanted.to_owned())
        };
        let signed = NaiveDateTime::parse_from_str(&parameter("X-Amz-Date")?, "%Y%m%dT%H%M%SZ")?;
        let life = TimeDelta::seconds(parameter("X-Amz-Expires")?.parse()?);
        let sql = "SELECT expires_at FROM export_jobs WHERE job_id = $1::uuid";
        let expires_at: DateTime<Utc> = ask(&self.world, id, sql).await?;
        let early = expires_at - (signed.and_utc() + life);
        // Never after the file; a clock that is ahead may not sign for longer than S3's seven days.
        ensure!(
            (TimeDelta::seconds(-1)..TimeDelta::minutes(11)).contains(&early),
            "the link ends {early} before the file"
        );
        Ok(())
    }
}

#[tokio::test]
async fn a_lease_is_kept_and_taken_over_in_time_whatever_clocks_say() -> Result<()> {
    for (from, to) in [(AHEAD, BEHIND), (BEHIND, AHEAD)] {
        let hand_over = Clocks::new().await?;
        hand_over
            .hand_over(from, to)
            .await
            .with_context(|| format!("{from} {to}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn libfaketime_does_what_the_other_tests_believe() -> Result<()> {
    let clocks = Clocks::new().await?;
    let worker = clocks.worker(AHEAD).await?;
    eventually("a line of the log that is ahead", async || {
        let log = std::fs::read_to_string(worker.log())?;
        let first = log
            .lines()
            .next()
            .map(serde_json::from_str::<serde_json::Value>);
        let Some(Ok(first)) = first else {
            return Ok(None);
        };
        let logged: DateTime<Utc> = first["timestamp"].as_str().context("a time")?.parse()?;
        let now = sqlx::query_scalar("SELECT now()");
        let now: DateTime<Utc> = now.fetch_one(&mut clocks.world.postgres().await?).await?;
        let ahead = logged - now;
        ensure!(ahead > TimeDelta::minutes(9), "{ahead}");
        Ok(Some(()))
    })
    .await
}
