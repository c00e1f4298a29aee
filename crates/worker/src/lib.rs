//! The export worker: claim, pipeline, notifier, lifecycle.
//!
//! One job flows through the modules in this order: [`claims`] finds it, [`run`] holds its lease
//! and decides what an error means, [`pipeline`] makes the file, [`notifier`] tells of it. What
//! is left in the bucket after that, [`cleanup`] removes. Jobs of exports that recur are made by the
//! [`scheduler`].

pub mod claims;
pub mod cleanup;
pub mod config;
mod deadline;
pub mod health;
pub mod lease;
mod metrics;
pub mod notifier;
mod object_key;
pub mod pipeline;
pub mod retry;
pub mod run;
pub mod scheduler;
pub mod service;
pub mod sweep;
