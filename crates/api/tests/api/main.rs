//! The API over a real socket, against real services.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod access;
mod app;
mod audit;
mod authentication;
mod create;
mod datasets;
mod delete;
mod download;
mod estimate;
mod events;
mod foreign;
mod forged;
mod health;
mod hostile;
mod http;
mod idempotency;
mod issuer;
mod jwks;
mod links;
mod list;
mod openapi;
mod process;
mod quotas;
mod rates;
mod read;
mod schedules;
mod split;
mod tokens;
mod wait;
mod webhooks;
