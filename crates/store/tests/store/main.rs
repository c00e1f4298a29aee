//! The store against a real Postgres.

mod claims;
mod costs;
mod db;
mod files;
mod jobs;
mod links;
mod machine;
mod migrate;
mod notifications;
mod platform;
mod pool;
mod queue;
mod quotas;
mod rates;
mod removals;
mod schedules;
mod schema;
mod uploads;
mod withdraw;
