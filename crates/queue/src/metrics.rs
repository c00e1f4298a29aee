//! What this crate counts.

use metrics::{counter, describe_counter};

use crate::error::QueueError;
use crate::push::Pushed;

/// Wake-ups, by what became of them.
const WAKEUPS: &str = "export_wakeups_total";

const QUEUED: &str = "queued";
const SKIPPED: &str = "skipped";
const FAILED: &str = "failed";

/// Says what the numbers mean.
pub(crate) fn describe() {
    describe_counter!(WAKEUPS, "Wake-ups for workers, by what became of them");
    for outcome in [QUEUED, SKIPPED, FAILED] {
        counter!(WAKEUPS, "outcome" => outcome).increment(0);
    }
}

/// Counts a wake-up.
pub(crate) fn pushed(pushed: &Result<Pushed, QueueError>) {
    let outcome = match pushed {
        Ok(Pushed::Queued) => QUEUED,
        Ok(Pushed::Skipped) => SKIPPED,
        Err(_) => FAILED,
    };
    counter!(WAKEUPS, "outcome" => outcome).increment(1);
}
