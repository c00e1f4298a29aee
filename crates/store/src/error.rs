//! What can go wrong with Postgres, and whether trying again helps.

use domain::{Classify, ErrorClass, ErrorCode, JobId, ScheduleId};
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
    /// Postgres could not be reached, or refused a statement.
    #[error("a Postgres statement failed")]
    Database(#[from] sqlx::Error),
}

impl Classify for StoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::LeaseLost => ErrorClass::Cancelled,
            Self::Database(error) if is_transient(error) => ErrorClass::TRANSIENT,
            Self::Database(_)
            | Self::UnknownPrincipal(_)
            | Self::Corrupt { .. }
            | Self::CorruptSchedule { .. }
            | Self::Config(_)
            | Self::Migrate(_) => ErrorClass::Permanent,
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
            // Appendix A of Postgres' manual: connection exception, transaction rollback,
            // insufficient resources, object in use (lock timeouts), operator intervention
            // (shutdown, statement timeout), a session that idled in a transaction, and a server
            // that is no primary any more.
            let class = code.get(..2).unwrap_or_default();
            ["08", "40", "53", "55", "57"].contains(&class) || ["25P03", "25006"].contains(&&*code)
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
