//! Connections that are used again and again.

use std::pin::pin;
use std::task::Poll;

use anyhow::Result;
use devstack::Env;
use futures::poll;
use secrecy::SecretString;
use sqlx::Connection;
use store::PostgresConfig;

/// sqlx 0.9 forgets a transaction whose begin was cancelled, while the server has begun it.
#[tokio::test]
async fn a_begin_that_is_cancelled_spoils_no_later_statement() -> Result<()> {
    let url = devstack::fresh_database(Env::shared()).await?;
    let config = PostgresConfig {
        url: SecretString::from(url.clone()),
        url_file: None,
        max_connections: 1,
        acquire_timeout_ms: 20_000,
        statement_timeout_ms: 20_000,
        migration_lock_timeout_s: 20,
    };
    let pool = store::connect(&config, "store-test")?;
    let mut other = sqlx::PgConnection::connect(&url).await?;
    sqlx::query("CREATE TABLE facts (fact TEXT)")
        .execute(&mut other)
        .await?;

    let mut conn = store::acquire(&pool).await?;
    // Until the server is slower to answer than the client to give up.
    loop {
        let begin = pin!(store::begin(&mut conn));
        match poll!(begin) {
            Poll::Pending => break,
            Poll::Ready(transaction) => transaction?.rollback().await?,
        }
    }
    drop(conn);
    sqlx::query("INSERT INTO facts VALUES ('kept')")
        .execute(&mut *store::acquire(&pool).await?)
        .await?;

    let facts: i64 = sqlx::query_scalar("SELECT count(*) FROM facts")
        .fetch_one(&mut other)
        .await?;
    assert_eq!(facts, 1);
    Ok(())
}
