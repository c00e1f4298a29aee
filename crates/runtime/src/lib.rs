//! What both binaries share: configuration, logging, TLS and shutdown.

pub mod config;
pub mod logging;
pub mod shutdown;
pub mod tls;
