//! The time of day, passed in so that tests decide it.

use std::fmt::Debug;

use chrono::{DateTime, Utc};

/// Tells the time of this machine.
///
/// Leases, retries and expiry never use it: they use the database's clock.
pub trait Clock: Debug + Send + Sync {
    /// Returns the current instant.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may ask the operating system"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
