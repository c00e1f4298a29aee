//! Where Redis is, and how patient to be with it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::error::QueueError;

/// One fetch promotes every message that is due in one call of Lua, which takes 8,000 at most.
const MOST_UNDELIVERED: u32 = 5_000;

/// The queue of wake-ups.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// `redis://user:password@host:port/database`, or `rediss://` for TLS.
    pub url: SecretString,
    /// The name of the queue, without `:`; services that share a Redis need one each.
    pub name: String,
    /// The longest that a push, or a ping, may take, in milliseconds.
    pub push_timeout_ms: u64,
    /// No more is pushed while as many messages wait; 5,000 at most.
    pub max_undelivered: u32,
    /// How often a worker looks for a message, in milliseconds.
    pub poll_interval_ms: u64,
    /// How long Redis may stall before a worker connects anew, in milliseconds.
    pub response_timeout_ms: u64,
}

impl QueueConfig {
    /// Makes a client, which has not connected yet, of a configuration that makes sense.
    pub(crate) fn client(&self) -> Result<redis::Client, QueueError> {
        if self.name.is_empty() || self.name.contains(':') {
            return Err(QueueError::Config("the name must be a text without \":\""));
        }
        if !(1..=MOST_UNDELIVERED).contains(&self.max_undelivered) {
            return Err(QueueError::Config(
                "max_undelivered must be between 1 and 5,000",
            ));
        }
        redis::Client::open(self.url.expose_secret()).map_err(QueueError::Redis)
    }

    pub(crate) fn push_timeout(&self) -> Duration {
        Duration::from_millis(self.push_timeout_ms)
    }

    pub(crate) fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }
}
