//! Postgres dies, or its answer gets lost, at the very moment in which a worker commits: no attempt
//! is lost, and each job has one end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result, ensure};
use devstack::{Env, Postgres};
use e2e::{Api, World, eventually};
use reqwest::Url;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::bucket::{Bucket, insert_bulk, proxy_before};
use crate::exports::{
    BYTES_PER_SECOND, ROWS, SLICES, SOON, TableLock, ask, check_file, checkpoints, events, plain,
};

/// Long enough for Postgres to come back, and a cleaner and a notifier that do not commit meanwhile.
const QUIET: [(&str, &str); 4] = [
    ("EXPORT__WORKER__LEASE_S", "30"),
    ("EXPORT__CLEANUP__POLL_INTERVAL_MS", "600000"),
    ("EXPORT__NOTIFICATIONS__POLL_INTERVAL_MS", "600000"),
    ("EXPORT__WORKER__POLL_INTERVAL_MS", "600000"),
];

/// A write of a worker, by the table that only it writes to.
#[derive(Clone, Copy, Debug)]
enum Write {
    Claim,
    Checkpoint,
    Completion,
}

impl Write {
    fn table(self) -> &'static str {
        match self {
            Self::Claim => "export_events",
            Self::Checkpoint => "export_checkpoints",
            Self::Completion => "export_notifications",
        }
    }
}

/// Checks that the job is done as if nothing had happened, with the same file as all others.
async fn check_undisturbed(
    world: &World,
    api: &Api,
    id: &str,
    sha256: &mut Option<Value>,
) -> Result<()> {
    let job = api.completed(id).await?;
    match sha256 {
        Some(sha256) => assert_eq!(job["file"]["sha256"], *sha256),
        None => check_file(world, api, &job).await?,
    }
    *sha256 = Some(job["file"]["sha256"].clone());
    let sql = "SELECT attempts + lost_leases FROM export_jobs WHERE job_id = $1::uuid";
    assert_eq!(ask::<i32>(world, id, sql).await?, 1, "one attempt");
    let events = events(world, id).await?;
    assert_eq!(events, ["requested", "started", "completed"]);
    Ok(())
}

#[tokio::test]
async fn a_postgres_that_dies_while_a_worker_writes_costs_no_attempt() -> Result<()> {
    let mut env = Env::shared().clone();
    let dir = tempfile::tempdir()?;
    let postgres = Postgres::start(dir.path()).await?;
    env.postgres_url = postgres.url().to_owned();
    let mut world = World::on(env).await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let mut sha256 = None;
    for write in [Write::Claim, Write::Checkpoint, Write::Completion] {
        let id = api.accepted(&plain()).await?;
        let lock = TableLock::take(&world, write.table()).await?;
        let worker = world.worker(&[&SLICES[..], &QUIET[..1]].concat()).await?;
        lock.waited_for(&world).await?;
        postgres.kill().await?;
        postgres.restart().await?;
        eventually("the API to be there again", async || {
            Ok(api.job(&id).await.ok().map(drop))
        })
        .await?;
        check_undisturbed(&world, &api, &id, &mut sha256)
            .await
            .with_context(|| format!("{write:?}"))?;
        world.check_invariants().await?;
        worker.stop(SOON).await?;
    }
    assert_eq!(bucket.objects()?.len(), 3);
    postgres.stop().await
}

/// What becomes of the next COMMIT.
const NOTHING: u8 = 0;
const NOT_SENT: u8 = 1;
const NOT_ANSWERED: u8 = 2;

/// A proxy before Postgres that loses a COMMIT, or the answer to it, and the connection with it.
struct Commits(Arc<AtomicU8>);

impl Commits {
    /// Starts one, and returns the URL through it.
    async fn before(url: &str) -> Result<(Self, String)> {
        let mut url = Url::parse(url)?;
        let target = url.socket_addrs(|| None)?[0];
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        url.set_port(Some(listener.local_addr()?.port()))
            .ok()
            .context("a URL with a port")?;
        let fate = Arc::new(AtomicU8::new(NOTHING));
        let next = Arc::clone(&fate);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, Arc::clone(&next)));
            }
        });
        Ok((Self(fate), url.into()))
    }

    fn lose(&self, fate: u8) {
        self.0.store(fate, Ordering::SeqCst);
    }

    /// Tells whether a COMMIT has met its fate.
    fn lost(&self) -> bool {
        self.0.load(Ordering::SeqCst) == NOTHING
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr, fate: Arc<AtomicU8>) -> Result<()> {
    let mut server = TcpStream::connect(target).await?;
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let asked = &asked[..read?];
                if asked.is_empty() {
                    return Ok(());
                }
                let commits = asked.windows(7).any(|bytes| bytes == b"COMMIT\0");
                match fate.load(Ordering::SeqCst) {
                    NOT_SENT if commits => {
                        fate.store(NOTHING, Ordering::SeqCst);
                        return Ok(());
                    }
                    NOT_ANSWERED if commits => {
                        server.write_all(asked).await?;
                        let read = server.read(&mut answered).await?;
                        ensure!(answered[..read].windows(7).any(|bytes| bytes == b"COMMIT\0"));
                        fate.store(NOTHING, Ordering::SeqCst);
                        return Ok(());
                    }
                    _ => server.write_all(asked).await?,
                }
            }
            read = server.read(&mut answered) => match read? {
                0 => return Ok(()),
                read => client.write_all(&answered[..read]).await?,
            }
        }
    }
}

#[tokio::test]
async fn a_commit_that_gets_lost_or_its_answer_costs_no_attempt() -> Result<()> {
    let mut world = World::new().await?;
    insert_bulk(&world, &world.ours, ROWS).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let (commits, postgres_url) = Commits::before(&world.env.postgres_url).await?;
    let (clickhouse, clickhouse_url) = proxy_before(&world.env.clickhouse_url).await?;
    let urls = [
        ("EXPORT__POSTGRES__URL", &*postgres_url),
        ("EXPORT__CLICKHOUSE__URL", &*clickhouse_url),
    ];
    let settings = [&SLICES[..], &QUIET, &urls].concat();
    let writes = [
        // The first one, and the one that seals the file.
        (Write::Checkpoint, 0),
        (Write::Checkpoint, 3),
        (Write::Completion, 0),
    ];
    let mut sha256 = None;
    for (write, behind) in writes {
        for fate in [NOT_SENT, NOT_ANSWERED] {
            let id = api.accepted(&plain()).await?;
            let (worker, lock) = if behind == 0 {
                let lock = TableLock::take(&world, write.table()).await?;
                (world.worker(&settings).await?, lock)
            } else {
                clickhouse.throttle(BYTES_PER_SECOND);
                let worker = world.worker(&settings).await?;
                checkpoints(&world, &id, behind - 1).await?;
                // The slice after the checkpoint must not end before the lock is taken.
                clickhouse.throttle(BYTES_PER_SECOND / 4);
                checkpoints(&world, &id, behind).await?;
                (worker, TableLock::take(&world, write.table()).await?)
            };
            clickhouse.heal().await?;
            lock.waited_for(&world).await?;
            commits.lose(fate);
            lock.release().await?;
            check_undisturbed(&world, &api, &id, &mut sha256)
                .await
                .with_context(|| format!("{write:?} {fate}"))?;
            assert!(commits.lost(), "{write:?}");
            worker.stop(SOON).await?;
        }
    }
    assert_eq!(bucket.objects()?.len(), 6);
    assert_eq!(bucket.uploads()?, [""; 0]);
    let _notifier = world.worker(&[]).await?;
    world.check_invariants().await
}
