//! Brings the database to the schema of this version, and tells whether it is there.

use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool, Row};
use tokio::time::Instant;
use tracing::info;

use crate::error::{LOCK_NOT_AVAILABLE, StoreError, has_code};
use crate::pool::{self, PostgresConfig};

/// The versioned migrations.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The indexes besides those of keys, each built by itself.
const INDEXES: &str = include_str!("../../../migrations/indexes.sql");

/// Where applied migrations are noted.
const TABLE: &str = "export_migrations";

/// The advisory lock of the process that migrates; any number that nobody else uses.
const LOCK: i64 = 0x6578_706f_7274;

/// The time between two attempts to take the lock.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Brings the database to this version: the migrations, the indexes, and the view of recipients where it
/// is missing. Several processes may do so at once; one works, the others wait for it.
///
/// Statements run as long as they need, but none waits longer for a lock than
/// `migration_lock_timeout_s`, since everything else would wait behind it.
///
/// # Errors
///
/// When a migration fails, one that was applied has changed since, or a lock is not to be had in time.
pub async fn migrate(config: &PostgresConfig) -> Result<(), StoreError> {
    let timeout = Duration::from_secs(config.migration_lock_timeout_s);
    let options: PgConnectOptions = config
        .url
        .expose_secret()
        .parse()
        .map_err(StoreError::Config)?;
    let options = options.application_name("export-migrate").options([
        ("lock_timeout", timeout.as_millis().to_string()),
        // Whatever the role or the database has.
        ("statement_timeout", "0".to_owned()),
        ("idle_in_transaction_session_timeout", "0".to_owned()),
    ]);
    let mut conn = options.connect().await?;
    lock(&mut conn, timeout).await?;
    let migrated = bring_up_to_date(&mut conn).await;
    // The lock ends with the connection, however that ends.
    let _ = conn.close().await;
    migrated.map_err(|error| match error {
        error if is_lock_timeout(&error) => StoreError::MigrationBlocked {
            timeout,
            source: Box::new(error),
        },
        error => error,
    })
}

async fn bring_up_to_date(conn: &mut PgConnection) -> Result<(), StoreError> {
    migrator().run(&mut *conn).await?;
    conn.execute("SELECT export_drop_unfinished_indexes()")
        .await?;
    for statement in statements(INDEXES) {
        conn.execute(statement).await?;
    }
    conn.execute("SELECT export_create_recipients()").await?;
    Ok(())
}

/// Returns the migrations, with the table that they are noted in.
fn migrator() -> Migrator {
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrator.dangerous_set_table_name(TABLE);
    // sqlx would wait for its lock within a statement, which CREATE INDEX CONCURRENTLY of the process
    // that has the lock would wait for in turn.
    migrator.set_locking(false);
    // A newer version may have migrated already.
    migrator.set_ignore_missing(true);
    migrator
}

/// Takes the lock of the process that migrates, asking again and again rather than waiting within a
/// statement.
async fn lock(conn: &mut PgConnection, timeout: Duration) -> Result<(), StoreError> {
    let begin = Instant::now();
    let mut told = false;
    loop {
        let row = sqlx::query("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *conn)
            .await?;
        if row.try_get(0)? {
            return Ok(());
        }
        if begin.elapsed() > timeout {
            return Err(StoreError::MigrationInProgress { timeout });
        }
        if !told {
            info!(
                timeout_s = timeout.as_secs(),
                "another process migrates; waiting for it"
            );
            told = true;
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
}

/// Splits a file of statements, each of which ends with a semicolon at the end of a line.
fn statements(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split_inclusive(";\n")
        .filter(|text| text.ends_with(";\n"))
}

fn is_lock_timeout(error: &StoreError) -> bool {
    match error {
        StoreError::Database(error)
        | StoreError::Migrate(
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
        ) => has_code(error, &[LOCK_NOT_AVAILABLE]),
        _ => false,
    }
}

/// Checks that the schema is that of this version, or of a newer one.
///
/// # Errors
///
/// [`StoreError::SchemaBehind`] when it is older, or there is none.
pub async fn check_schema(pool: &PgPool) -> Result<(), StoreError> {
    let mut conn = pool::acquire(pool).await?;
    let applied = sqlx::query_scalar!("SELECT max(version) FROM export_migrations WHERE success")
        .fetch_one(&mut *conn)
        .await?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max();
    if applied >= newest {
        Ok(())
    } else {
        Err(StoreError::SchemaBehind(None))
    }
}
