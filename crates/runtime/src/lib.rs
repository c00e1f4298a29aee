//! What both binaries share: configuration, health, logging, TLS and shutdown.

pub mod config;
pub mod health;
pub mod logging;
pub mod shutdown;
pub mod tls;
