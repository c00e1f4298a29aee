//! Transactions, of which none is left behind on a connection that is used again.
//!
//! When the future that begins a transaction is dropped at the wrong moment, sqlx forgets the
//! transaction, but the server does not: whatever came next on the connection would be undone in the
//! end. That happens whenever a lease is lost or a request times out in that moment.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgTransaction, Row};

use crate::error::StoreError;

/// When sqlx may have forgotten a transaction of this process, the last time.
static FORGOTTEN: Mutex<Option<Instant>> = Mutex::new(None);

/// How exactly two moments can be compared between which a process may be stopped.
const MARGIN: Duration = Duration::from_secs(10);

/// Begins a transaction, or a savepoint inside of one. When that fails, nothing else is to be done with
/// the connection.
///
/// # Errors
///
/// When Postgres fails.
pub async fn begin(conn: &mut PgConnection) -> Result<PgTransaction<'_>, StoreError> {
    let mut beginning = Beginning {
        // Savepoints end with their transaction, of which sqlx knows.
        is_forgotten: !conn.is_in_transaction(),
    };
    #[expect(clippy::disallowed_methods, reason = "this is what stands for it")]
    let begun = conn.begin().await?;
    beginning.is_forgotten = false;
    Ok(begun)
}

/// A transaction that is about to begin.
struct Beginning {
    is_forgotten: bool,
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if self.is_forgotten {
            *FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }
}

/// Tells whether a connection of this age that comes back is outside of any transaction, and may be used
/// again.
///
/// The server is asked only about connections that are older than the last transaction that may have been
/// forgotten; the pool closes each after a while. Outside of a transaction a simple query is one of its
/// own, which begins with the statement.
pub(crate) async fn is_outside(
    conn: &mut PgConnection,
    age: Duration,
) -> Result<bool, sqlx::Error> {
    let forgotten = *FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if forgotten.is_none_or(|forgotten| forgotten.elapsed() > age + MARGIN) {
        return Ok(true);
    }
    let row = sqlx::raw_sql("SELECT now() = statement_timestamp()")
        .fetch_one(conn)
        .await?;
    row.try_get(0)
}
