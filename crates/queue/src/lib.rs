//! The wake-up from the API to the workers: an apalis queue on Redis.
//!
//! A message says that there is something to do in Postgres, no more. Lost, doubled or late, it
//! changes nothing but how soon a worker looks.

mod config;
mod consume;
mod error;
mod housekeeping;
mod message;
mod metrics;
mod push;

pub use config::QueueConfig;
pub use consume::consume;
pub use error::QueueError;
pub use push::{Pushed, Wakeups};
