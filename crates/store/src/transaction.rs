//! Transactions, of which none is left behind on a connection that is used again.
//!
//! When the future that begins a transaction is dropped at the wrong moment, sqlx forgets the
//! transaction, but the server does not: whatever came next on the connection would be undone in the
//! end. That happens whenever a lease is lost or a request times out in that moment.

use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Connection, PgConnection, PgTransaction, Row};

use crate::error::StoreError;

/// How many transactions of this process may be open that sqlx has forgotten.
static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

/// Begins a transaction, or a savepoint inside of one.
///
/// # Errors
///
/// When Postgres fails.
pub async fn begin(conn: &mut PgConnection) -> Result<PgTransaction<'_>, StoreError> {
    let mut beginning = Beginning {
        // Savepoints end with their transaction, of which sqlx knows.
        forgotten_if_dropped: !conn.is_in_transaction(),
    };
    #[expect(clippy::disallowed_methods, reason = "this is what stands for it")]
    let begun = conn.begin().await;
    beginning.forgotten_if_dropped = false;
    Ok(begun?)
}

/// A transaction that is about to begin.
struct Beginning {
    forgotten_if_dropped: bool,
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if self.forgotten_if_dropped {
            FORGOTTEN.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Tells whether a connection that comes back is outside of any transaction, and may be used again.
///
/// The server is asked only while a transaction has been forgotten and not been found. Outside of a
/// transaction a simple query is one of its own, which begins with the statement.
pub(crate) async fn is_outside(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if FORGOTTEN.load(Ordering::Acquire) == 0 {
        return Ok(true);
    }
    let row = sqlx::raw_sql("SELECT now() = statement_timestamp()")
        .fetch_one(conn)
        .await?;
    let is_outside: bool = row.try_get(0)?;
    if !is_outside {
        FORGOTTEN.fetch_sub(1, Ordering::AcqRel);
    }
    Ok(is_outside)
}
