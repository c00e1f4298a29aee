//! The window of an export.

use chrono::{DateTime, TimeDelta, Utc};

/// A half-open range of time, `[start, end)`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl TimeRange {
    /// Makes a range, or nothing when `end` is not after `start`.
    pub fn new(start: DateTime<Utc>, end: DateTime<Utc>) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// Returns the first instant that is in the range.
    pub fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// Returns the first instant after the range.
    pub fn end(&self) -> DateTime<Utc> {
        self.end
    }

    /// Returns how long the range is.
    pub fn length(&self) -> TimeDelta {
        self.end - self.start
    }
}
