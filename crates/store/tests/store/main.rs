//! The store against a real Postgres.

mod claims;
mod costs;
mod db;
mod files;
mod jobs;
mod links;
mod machine;
mod migrations;
mod notifications;
mod pool;
mod queue;
mod quotas;
mod rates;
mod removals;
mod schedules;
mod uploads;
mod withdraw;
