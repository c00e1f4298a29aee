//! The whole stack on one machine without Docker, for the demo, tests and benchmarks.
//!
//! [`Devstack`] starts everything. A test that breaks something starts that service for itself
//! ([`Postgres`], [`Redis`], [`ClickHouse`], [`S3`], [`Smtp`]) or puts a [`Proxy`] before it; the
//! other tests share the stack that [`Env::shared`] describes.

mod clickhouse;
mod data_dir;
mod env;
mod fresh;
mod mail;
mod net;
mod postgres;
mod process;
mod programs;
mod proxy;
mod receiver;
mod redis;
mod s3;
mod service;
pub mod setup;
mod smtp;
mod stack;

pub use self::clickhouse::ClickHouse;
pub use self::env::{Env, S3Env, SmtpEnv};
pub use self::fresh::{fresh_bucket, fresh_database};
pub use self::mail::{Mail, Mailbox};
pub use self::net::free_port;
pub use self::postgres::Postgres;
pub use self::programs::find_postgres;
pub use self::proxy::Proxy;
pub use self::receiver::{Received, Receiver, Reply};
pub use self::redis::Redis;
pub use self::s3::{Faults, Operation, S3};
pub use self::service::{Service, Signal, TOKEN_AUDIENCE, TOKEN_ISSUER, export_environment};
pub use self::smtp::{Smtp, SmtpFaults, Stage};
pub use self::stack::Devstack;
