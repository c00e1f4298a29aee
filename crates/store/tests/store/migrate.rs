//! `migrate`: what it makes, what it waits for, and how its absence is told.

use std::time::Duration;

use anyhow::{Result, bail};
use domain::{Classify, ErrorClass};
use sqlx::{Connection, PgConnection, PgPool};
use store::{PostgresConfig, StoreError};

use crate::db::empty;

/// Makes migrating wait for locks for a second only.
fn impatient(config: &PostgresConfig) -> PostgresConfig {
    PostgresConfig {
        migration_lock_timeout_s: 1,
        ..config.clone()
    }
}

async fn refusal(config: &PostgresConfig) -> Result<StoreError> {
    match store::migrate(config).await {
        Ok(()) => bail!("migrate succeeded"),
        Err(error) => Ok(error),
    }
}

#[tokio::test]
async fn an_empty_database_is_migrated_once() -> Result<()> {
    let (config, pool) = empty().await?;
    // As processes do that start together.
    tokio::try_join!(
        store::migrate(&config),
        store::migrate(&config),
        store::migrate(&config)
    )?;
    store::migrate(&config).await?;
    store::check_schema(&pool).await?;
    Ok(())
}

#[tokio::test]
async fn an_older_schema_is_told() -> Result<()> {
    let (config, pool) = empty().await?;
    for change in [
        "",
        "DELETE FROM export_migrations WHERE version > 20261128000001",
    ] {
        sqlx::query(change).execute(&pool).await?;
        let error = store::check_schema(&pool).await.unwrap_err();
        assert_eq!(error.to_string(), "the schema is behind: run migrate");
        assert_eq!(error.class(), ErrorClass::TRANSIENT);
        if change.is_empty() {
            store::migrate(&config).await?;
            store::check_schema(&pool).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_process_that_migrates_for_long_is_waited_for_only_so_long() -> Result<()> {
    let (config, _pool) = empty().await?;
    // What `migrate` holds while it works.
    let mut other = connect(&config).await?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(0x6578_706f_7274_i64)
        .execute(&mut other)
        .await?;
    let error = refusal(&impatient(&config)).await?;
    assert_eq!(
        error.to_string(),
        "another process has been migrating for 1s; run migrate again when it has finished"
    );
    let release = async { Ok(other.close().await?) };
    tokio::try_join!(store::migrate(&config), release)?;
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_locked_is_waited_for_only_so_long() -> Result<()> {
    let (config, pool) = empty().await?;
    sqlx::raw_sql(include_str!(
        "../../../devstack/sql/platform/specification.sql"
    ))
    .execute(&pool)
    .await?;
    let mut other = connect(&config).await?;
    let mut reading = store::begin(&mut other).await?;
    sqlx::query("SELECT count(*) FROM export_jobs")
        .execute(&mut *reading)
        .await?;
    let error = refusal(&impatient(&config)).await?;
    assert!(
        error
            .to_string()
            .starts_with("a migration waited 1s for a lock on a table"),
        "{error}"
    );
    reading.rollback().await?;
    store::migrate(&config).await?;
    Ok(())
}

#[tokio::test]
async fn an_index_that_was_broken_off_is_built_again() -> Result<()> {
    let (config, pool) = empty().await?;
    store::migrate(&config).await?;
    let made = indexes(&pool).await?;
    sqlx::query("DROP INDEX export_jobs_own")
        .execute(&pool)
        .await?;
    // As CREATE INDEX CONCURRENTLY leaves it.
    sqlx::query(
        "UPDATE pg_index SET indisvalid = false
         WHERE indexrelid = 'export_jobs_listing'::regclass",
    )
    .execute(&pool)
    .await?;
    store::migrate(&config).await?;
    assert_eq!(indexes(&pool).await?, made);
    Ok(())
}

/// Returns the indexes that can be used.
async fn indexes(pool: &PgPool) -> Result<Vec<String>> {
    let names = sqlx::query_scalar(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index
         WHERE indisvalid AND indrelid::regclass::text LIKE 'export_%' ORDER BY 1",
    );
    Ok(names.fetch_all(pool).await?)
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn indexes_are_built_while_others_write() -> Result<()> {
    let (config, pool) = empty().await?;
    store::migrate(&config).await?;
    sqlx::query("DROP INDEX export_jobs_own")
        .execute(&pool)
        .await?;
    let mut writer = connect(&config).await?;
    let mut writing = store::begin(&mut writer).await?;
    sqlx::query("LOCK TABLE export_jobs IN ROW EXCLUSIVE MODE")
        .execute(&mut *writing)
        .await?;
    // Until the index waits for the transaction; another one still gets in.
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'
                   AND query LIKE '%CREATE INDEX CONCURRENTLY%'";
    let write = async {
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&pool)
            .await?
        {
            tokio::task::yield_now().await;
        }
        sqlx::query("UPDATE export_jobs SET progress = 1")
            .execute(&pool)
            .await?;
        Ok(writing.commit().await?)
    };
    let both = async { tokio::try_join!(store::migrate(&config), write) };
    tokio::time::timeout(PATIENCE, both).await??;
    assert!(
        indexes(&pool)
            .await?
            .iter()
            .any(|index| index.contains("export_jobs_own "))
    );
    Ok(())
}

async fn connect(config: &PostgresConfig) -> Result<PgConnection> {
    use secrecy::ExposeSecret as _;
    Ok(PgConnection::connect(config.url.expose_secret()).await?)
}
