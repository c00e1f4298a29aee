//! The stack comes up, goes down and leaves nothing behind; Postgres and Redis die and return.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use devstack::{Devstack, Env, Mailbox, Postgres, Redis, fresh_bucket, fresh_database};
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::eventually;

/// Set in the process that [`services_die_with_their_process`] kills.
const VICTIM_DIR: &str = "DEVSTACK_TEST_VICTIM";

fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names: Vec<_> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

async fn redis(url: &str, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://")).await?;
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await?;
    let mut answer = vec![0; 64];
    let length = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[tokio::test]
async fn everything_starts_and_nothing_stays() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let stack = Devstack::start(dir.path()).await?;
    let file = dir.path().join("env.json");
    stack.env().save(&file)?;
    let env = Env::load(&file)?;
    fs::remove_file(&file)?;
    PgConnection::connect(&fresh_database(&env).await?).await?;
    fresh_bucket(&env).await?;
    assert_eq!(redis(&env.redis_url, "PING").await?, "+PONG\r\n");
    assert!(Mailbox::new(&env.mailbox_url).messages().await?.is_empty());
    let shown = format!("{env:?}");
    for secret in [
        &env.clickhouse_password,
        &env.s3.secret_key,
        &env.jwt_secret,
        &env.postgres_url,
    ] {
        assert!(!shown.contains(secret.as_str()), "{shown}");
    }

    let twin = Devstack::start(dir.path()).await.unwrap_err().to_string();
    assert!(twin.starts_with("another stack runs in"), "{twin}");

    stack.stop().await?;
    assert_eq!(
        names(dir.path())?,
        ["clickhouse.log", "lock", "postgres.log", "redis.log"]
    );
    assert!(PgConnection::connect(&env.postgres_url).await.is_err());
    assert!(redis(&env.redis_url, "PING").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_fresh_database_is_empty_and_ones_own() -> Result<()> {
    let env = Env::shared();
    let (one, other) = (fresh_database(env).await?, fresh_database(env).await?);
    assert_ne!(one, other);
    let mut one = PgConnection::connect(&one).await?;
    sqlx::query("CREATE TABLE t (a INT)")
        .execute(&mut one)
        .await?;
    let mut other = PgConnection::connect(&other).await?;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(tables)
            .fetch_one(&mut other)
            .await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn postgres_comes_back_with_its_data() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let postgres = Postgres::start(dir.path()).await?;
    let mut connection = PgConnection::connect(postgres.url()).await?;
    sqlx::query("CREATE TABLE kept (a INT)")
        .execute(&mut connection)
        .await?;
    postgres.kill().await?;
    assert!(PgConnection::connect(postgres.url()).await.is_err());
    postgres.restart().await?;
    let mut connection = PgConnection::connect(postgres.url()).await?;
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM kept");
    assert_eq!(count.fetch_one(&mut connection).await?, 0);
    let wrong = postgres.url().replace("postgres:", "nobody:");
    assert!(PgConnection::connect(&wrong).await.is_err());
    postgres.stop().await
}

#[tokio::test]
async fn redis_comes_back_empty() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Redis::start(dir.path()).await?;
    assert_eq!(redis(&server.url(), "SET a 1").await?, "+OK\r\n");
    server.kill().await?;
    assert!(redis(&server.url(), "PING").await.is_err());
    server.restart().await?;
    assert_eq!(redis(&server.url(), "GET a").await?, "$-1\r\n");
    server.stop().await
}

#[tokio::test]
async fn services_die_with_their_process() -> Result<()> {
    if let Some(dir) = env::var_os(VICTIM_DIR) {
        let dir = Path::new(&dir);
        let (redis, _postgres) = tokio::try_join!(Redis::start(dir), Postgres::start(dir))?;
        fs::write(dir.join("url.part"), redis.url())?;
        fs::rename(dir.join("url.part"), dir.join("url"))?;
        return std::future::pending().await;
    }
    let dir = tempfile::tempdir()?;
    let mut victim = Command::new(env::current_exe()?)
        .args(["--exact", "stack::services_die_with_their_process"])
        .env(VICTIM_DIR, dir.path())
        .stdout(Stdio::null())
        .spawn()?;
    eventually("it has started its services", async || {
        Ok(dir.path().join("url").exists())
    })
    .await?;
    let url = fs::read_to_string(dir.path().join("url"))?;
    assert_eq!(redis(&url, "PING").await?, "+PONG\r\n");
    let cluster = fs::read_to_string(dir.path().join("postgres/cluster/postmaster.pid"))?;
    let postmaster = cluster.lines().next().context("no postmaster")?;
    assert!(Path::new("/proc").join(postmaster).exists());

    victim.kill()?;
    victim.wait()?;
    eventually("Redis has gone", async || {
        Ok(redis(&url, "PING").await.is_err())
    })
    .await?;
    eventually("PostgreSQL has gone", async || {
        Ok(!Path::new("/proc").join(postmaster).exists())
    })
    .await?;
    Ok(())
}
