//! What can go wrong with Postgres, and whether trying again helps.

use std::time::Duration;

use domain::{Classify, ErrorClass, ErrorCode, JobId, ScheduleId};
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgQueryResult;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lease is gone: another worker has the job, or it has ended.
    #[error("the lease was lost")]
    LeaseLost,
    /// A new job names a user or an organization that does not exist.
    #[error("the user or the organization is unknown")]
    UnknownPrincipal(#[source] sqlx::Error),
    /// A row holds what no version of the service writes.
    #[error("job {job} cannot be read: {detail}")]
    Corrupt {
        /// The job.
        job: JobId,
        /// What cannot be read; names columns, never values.
        detail: String,
    },
    /// A row of a schedule holds what this version of the service cannot read.
    #[error("schedule {schedule} cannot be read")]
    CorruptSchedule {
        /// The schedule.
        schedule: ScheduleId,
    },
    /// The configuration does not describe a database.
    #[error("the Postgres configuration is wrong")]
    Config(#[source] sqlx::Error),
    /// A migration failed.
    #[error("the database could not be migrated")]
    Migrate(#[from] MigrateError),
    /// A migration waited too long for a lock.
    #[error(
        "a migration waited {timeout:?} for a lock on a table; find the transaction that holds it \
         (pg_stat_activity, pg_locks) and run migrate again"
    )]
    MigrationBlocked {
        /// How long it waited.
        timeout: Duration,
        /// What Postgres said.
        source: Box<Self>,
    },
    /// Another process has not finished migrating.
    #[error(
        "another process has been migrating for {timeout:?}; run migrate again when it has finished"
    )]
    MigrationInProgress {
        /// How long this process waited for it.
        timeout: Duration,
    },
    /// The database lacks a table, a column or a function of this version.
    #[error("the schema is behind: run migrate")]
    SchemaBehind(#[source] Option<sqlx::Error>),
    /// A grant is missing.
    #[error("postgres denies access: grants are missing")]
    Denied(#[source] sqlx::Error),
    /// The view of recipients is not as it must be.
    #[error("the view export_recipients (user_id, email, active) cannot be read")]
    Recipients(#[source] sqlx::Error),
    /// Postgres could not be reached, or refused a statement.
    #[error("a Postgres statement failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if has_code(
            &error,
            &[UNDEFINED_TABLE, UNDEFINED_COLUMN, UNDEFINED_FUNCTION],
        ) {
            Self::SchemaBehind(Some(error))
        } else if has_code(&error, &[INSUFFICIENT_PRIVILEGE]) {
            Self::Denied(error)
        } else {
            Self::Database(error)
        }
    }
}

// Codes of appendix A of Postgres' manual.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";
const UNDEFINED_FUNCTION: &str = "42883";
/// An invalid password, and an invalid authorization of another kind.
pub(crate) const REFUSED_CREDENTIALS: &[&str] = &["28P01", "28000"];
pub(crate) const LOCK_NOT_AVAILABLE: &str = "55P03";

impl StoreError {
    /// Says what an operator has to do, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::SchemaBehind(_) => Some("The schema is behind: run migrate."),
            Self::Denied(_) => Some("Grants are missing: see \"Roles\" in docs/operating.md."),
            _ => None,
        }
    }
}

/// Tells whether Postgres answered with one of these codes.
pub(crate) fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| codes.contains(&&*code))
}

impl Classify for StoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::LeaseLost => ErrorClass::Cancelled,
            Self::Database(error) if is_transient(error) => ErrorClass::TRANSIENT,
            // Somebody will run migrate, grant what is missing, or mend the view.
            Self::SchemaBehind(_) | Self::Denied(_) | Self::Recipients(_) => ErrorClass::TRANSIENT,
            Self::Database(_)
            | Self::UnknownPrincipal(_)
            | Self::Corrupt { .. }
            | Self::CorruptSchedule { .. }
            | Self::Config(_)
            | Self::Migrate(_)
            | Self::MigrationBlocked { .. }
            | Self::MigrationInProgress { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}

/// Tells a connection that is gone, a pool that is exhausted or a transaction that lost a race
/// from a statement that will never succeed.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Appendix A of Postgres' manual: connection exception, invalid authorization (while a
            // password is rotated), transaction rollback, insufficient resources, object in use (lock
            // timeouts), operator intervention (shutdown, statement timeout), a session that idled in
            // a transaction, a server that is no primary any more, and a plan from before a view was
            // replaced.
            let class = code.get(..2).unwrap_or_default();
            ["08", "28", "40", "53", "55", "57"].contains(&class)
                || ["25P03", "25006", "0A000"].contains(&&*code)
        }),
        _ => false,
    }
}

/// Turns a fenced write that met no row into [`StoreError::LeaseLost`].
pub(crate) fn fenced(result: &PgQueryResult) -> Result<(), StoreError> {
    match result.rows_affected() {
        0 => Err(StoreError::LeaseLost),
        _ => Ok(()),
    }
}
