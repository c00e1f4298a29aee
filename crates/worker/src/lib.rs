//! The export worker: claim, pipeline, notifier, lifecycle.
//!
//! One job flows through the modules in this order: [`claims`] finds it, [`run`] holds its lease
//! and decides what an error means, [`pipeline`] makes the file, [`notifier`] mails the link.

pub mod claims;
pub mod config;
pub mod health;
pub mod lease;
pub mod notifier;
pub mod pipeline;
pub mod retry;
pub mod run;
pub mod service;
