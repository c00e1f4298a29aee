//! The store against a real Postgres.

mod claims;
mod db;
mod jobs;
mod migrations;
mod notifications;
