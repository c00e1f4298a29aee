//! What both binaries share: configuration, health, logging, metrics, traces, TLS and shutdown.

mod chain;
pub mod config;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod shutdown;
pub mod tls;
pub mod traces;

pub use chain::{chain, exit_code};
