//! Exports of several slices that can be held up anywhere, and what Postgres says of them.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::{Proxy, Service, Smtp};
use e2e::{Api, Job, World, eventually};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::bucket::{Bucket, insert_bulk, proxy_before};
use crate::{files, reference};

/// Rows of [`Slow`]'s export: four slices.
pub(crate) const ROWS: u64 = 20_000;

/// Slices of more than 5 MiB each as [`plain`] JSON, since smaller ones get no checkpoint of their own.
pub(crate) const SLICES: [(&str, &str); 4] = [
    ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "5000"),
    ("EXPORT__PIPELINE__BLOCK_ROWS", "500"),
    ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
    ("EXPORT__WORKER__LEASE_S", "2"),
];

/// How fast a slow ClickHouse answers: a slice takes seconds.
pub(crate) const BYTES_PER_SECOND: u64 = 4_000_000;

/// How long a worker may take to stop, or to find out that it has nothing to do any more.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Asks for the form whose bytes are the most.
pub(crate) fn plain() -> Value {
    json!({"format": "json", "compression": "none"})
}

/// Asks for the same in the order of storage: parts arrive while rows are read, which would have to be sorted
/// first otherwise.
pub(crate) fn plain_as_stored() -> Value {
    let mut request = plain();
    request["options"] = json!({"order": "storage"});
    request
}

/// A world with a bucket and a mailbox of its own and many large rows, whose workers may read from a ClickHouse
/// that is slow.
pub(crate) struct Slow {
    pub(crate) world: World,
    pub(crate) bucket: Bucket,
    pub(crate) api: Api,
    /// Before the ClickHouse that is slow.
    pub(crate) clickhouse: Proxy,
    clickhouse_url: String,
    _smtp: Smtp,
}

impl Slow {
    /// Makes the world, without workers.
    pub(crate) async fn new() -> Result<Self> {
        let mut world = World::new().await?;
        insert_bulk(&world, &world.ours, ROWS).await?;
        let bucket = Bucket::start(&mut world).await?;
        let smtp = Smtp::start(world.dir.path()).await?;
        world.env.smtp.port = smtp.port();
        world.env.mailbox_url = smtp.mailbox_url();
        let (clickhouse, clickhouse_url) = proxy_before(&world.env.clickhouse_url).await?;
        let api = world.api(&[]).await?;
        Ok(Self {
            world,
            bucket,
            api,
            clickhouse,
            clickhouse_url,
            _smtp: smtp,
        })
    }

    /// Starts a worker that reads through the proxy.
    pub(crate) async fn slow_worker(&self, settings: &[(&str, &str)]) -> Result<Service> {
        let proxied = [("EXPORT__CLICKHOUSE__URL", self.clickhouse_url.as_str())];
        self.worker(&[&proxied, settings].concat()).await
    }

    /// Starts a worker that reads at full speed.
    pub(crate) async fn worker(&self, settings: &[(&str, &str)]) -> Result<Service> {
        self.world.worker(&[&SLICES, settings].concat()).await
    }

    /// Asks for an export and waits until a slow worker is somewhere behind its `slices`-th
    /// checkpoint, and before the next.
    pub(crate) async fn begun(&self, slices: i64) -> Result<String> {
        self.clickhouse.throttle(BYTES_PER_SECOND);
        let id = self.api.accepted(&plain()).await?;
        checkpoints(&self.world, &id, slices).await?;
        Ok(id)
    }

    /// Waits until the job is completed, and checks its file and everything else.
    pub(crate) async fn check_completed(&self, id: &str) -> Result<Job> {
        let job = self.api.completed(id).await?;
        check_file(&self.world, &self.api, &job).await?;
        self.world.check_invariants().await?;
        Ok(job)
    }
}

/// Checks that the file of a job in JSON lines has the rows that ClickHouse has.
pub(crate) async fn check_file(world: &World, api: &Api, job: &Job) -> Result<()> {
    let rows = reference::rows(&world.clickhouse, "otel", "logs", &world.ours).await?;
    reference::check(files::json_lines(&api.download(job).await?.bytes)?, rows)
}

/// Returns what a query for one value says of a job, which it calls $1.
pub(crate) async fn ask<T>(world: &World, id: &str, sql: &'static str) -> Result<T>
where
    T: for<'row> sqlx::Decode<'row, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let mut postgres = world.postgres().await?;
    let asked = sqlx::query_scalar(sql).bind(id).fetch_one(&mut postgres);
    asked.await.with_context(|| sql.to_owned())
}

/// Returns what a query counts.
pub(crate) async fn count(world: &World, sql: &'static str) -> Result<i64> {
    let counted = sqlx::query_scalar(sql);
    Ok(counted.fetch_one(&mut world.postgres().await?).await?)
}

/// Waits until a query for a truth says so of a job, which it calls $1.
pub(crate) async fn until(world: &World, id: &str, sql: &'static str) -> Result<()> {
    eventually(sql, async || {
        Ok(ask::<bool>(world, id, sql).await?.then_some(()))
    })
    .await
}

/// Waits until a worker has a job for the `token`-th time.
pub(crate) async fn claimed(world: &World, id: &str, token: i64) -> Result<()> {
    eventually("a claim", async || {
        let sql = "SELECT token FROM export_jobs WHERE job_id = $1::uuid";
        Ok((ask::<i64>(world, id, sql).await? >= token).then_some(()))
    })
    .await
}

/// Waits for checkpoints of a job.
pub(crate) async fn checkpoints(world: &World, id: &str, count: i64) -> Result<()> {
    eventually("checkpoints", async || {
        let sql = "SELECT count(*) FROM export_checkpoints WHERE job_id = $1::uuid";
        Ok((ask::<i64>(world, id, sql).await? >= count).then_some(()))
    })
    .await
}

/// Returns what has happened to a job, in order, but for the downloads.
pub(crate) async fn events(world: &World, id: &str) -> Result<Vec<String>> {
    let sql = "SELECT array_agg(kind ORDER BY event_id) FROM export_events
               WHERE job_id = $1::uuid AND kind <> 'downloaded'";
    ask(world, id, sql).await
}

/// Holds up whoever writes to a table, until it is dropped.
pub(crate) struct TableLock {
    postgres: PgConnection,
    table: &'static str,
}

impl TableLock {
    /// Locks a table.
    pub(crate) async fn take(world: &World, table: &'static str) -> Result<Self> {
        let mut postgres = world.postgres().await?;
        let lock = format!("BEGIN; LOCK TABLE {table} IN SHARE MODE");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock))
            .execute(&mut postgres)
            .await?;
        Ok(Self { postgres, table })
    }

    /// Waits until somebody who wants to add a row is held up.
    pub(crate) async fn waited_for(&self, world: &World) -> Result<()> {
        held_up(world, &format!("INSERT INTO {}", self.table)).await
    }

    /// Lets them go on.
    pub(crate) async fn release(self) -> Result<()> {
        Ok(self.postgres.close().await?)
    }
}

/// Waits until a statement with this in it is held up by a lock.
pub(crate) async fn held_up(world: &World, statement: &str) -> Result<()> {
    let mut postgres = world.postgres().await?;
    eventually(statement, async || {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                  WHERE datname = current_database() AND wait_event_type = 'Lock'
                                    AND strpos(query, $1) > 0)";
        let waiting = sqlx::query_scalar(sql).bind(statement);
        let waiting: bool = waiting.fetch_one(&mut postgres).await?;
        Ok(waiting.then_some(()))
    })
    .await
}
