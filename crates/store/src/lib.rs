//! Postgres, the truth: jobs, leases, checkpoints, events, notifications, removals and schedules.
//!
//! Functions take a connection. Each of them is atomic: on a bare connection by itself, inside a
//! transaction of the caller together with the rest of it. Leases, retries and expiry use the
//! database's clock. What a worker writes is fenced by the token of its [`jobs::Claim`]: once
//! another worker has the job, or the job has ended, every write is [`StoreError::LeaseLost`].

pub mod contents;
mod error;
pub mod events;
pub mod files;
pub mod idempotency;
pub mod jobs;
mod metrics;
mod migrate;
pub mod notifications;
mod pool;
pub mod quotas;
pub mod rates;
pub mod recipients;
pub mod removals;
pub mod schedules;
mod transaction;
pub mod uploads;

pub use error::StoreError;
pub use migrate::{check_schema, migrate};
pub use pool::{PostgresConfig, acquire, connect, connect_to_claim, ping};
pub use sqlx::{PgConnection, PgPool, PgTransaction};
pub use transaction::begin;
