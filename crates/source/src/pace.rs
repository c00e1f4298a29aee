//! How far in time each query goes, so that its rows fit into the memory that sorting may take.

use std::num::NonZeroU64;

use chrono::{DateTime, Utc};
use domain::TimeRange;

use crate::plan::{at, microseconds};

/// Bytes of a row, before any was seen: rather too many, as a range that holds too much is read for nothing.
const FIRST_GUESS: u64 = 1024;

/// The most that one query may go farther than the one before.
const MOST_GROWTH: u64 = 4;

/// How much shorter a range becomes that holds too much.
const SHORTER: u64 = 8;

/// Cuts a slice into ranges, by what the ranges before held.
pub(crate) struct Pace {
    next: DateTime<Utc>,
    end: DateTime<Utc>,
    /// How far the next query goes, in microseconds.
    step_us: u64,
    /// The bytes that a query is to give; half of what there is room for, since time tells little.
    aim: u64,
    /// Whether it is known that ranges of such a length are worth a query each.
    is_approved: bool,
    /// Whether a range was too long already.
    is_corrected: bool,
}

impl Pace {
    /// Starts at the beginning of a slice of about `rows` rows, of so many bytes if that is known.
    pub(crate) fn new(
        slice: TimeRange,
        rows: u64,
        row_bytes: Option<NonZeroU64>,
        most_bytes: usize,
    ) -> Self {
        let aim = (most_bytes as u64 / 2).max(1);
        let row_bytes = row_bytes.map_or(FIRST_GUESS, NonZeroU64::get);
        let queries = (rows.saturating_mul(row_bytes) / aim).max(1);
        Self {
            next: slice.start(),
            end: slice.end(),
            step_us: microseconds(slice).div_ceil(queries),
            aim,
            is_approved: false,
            is_corrected: false,
        }
    }

    /// Returns the range of the next query, unless the slice is at its end.
    pub(crate) fn range(&self) -> Option<TimeRange> {
        let rest = TimeRange::new(self.next, self.end)?;
        // What is a little more than a step is one.
        if microseconds(rest) <= self.step_us.saturating_add(self.step_us / 4) {
            return Some(rest);
        }
        TimeRange::new(self.next, at(self.next, self.step_us))
    }

    /// Goes behind a range that gave so many bytes.
    pub(crate) fn advance(&mut self, range: TimeRange, bytes: usize) {
        self.next = range.end();
        let step = u128::from(microseconds(range)) * u128::from(self.aim) / (bytes as u128).max(1);
        let most = microseconds(range).saturating_mul(MOST_GROWTH);
        self.step_us = u64::try_from(step).map_or(most, |step| step.clamp(1, most));
    }

    /// Takes a shorter range in place of one that holds too much, if there is a shorter one.
    pub(crate) fn shorten(&mut self, range: TimeRange) -> bool {
        let length = microseconds(range);
        self.step_us = (length / SHORTER).max(1);
        // Shorter ones yet are for a burst, not for the slice.
        self.is_approved = std::mem::replace(&mut self.is_corrected, true);
        length > 1
    }

    /// Says what is to be asked before the first range is taken, and once the guess at how long it may be
    /// has turned out wrong: a range like it in the middle of the slice, and how many there would be.
    pub(crate) fn approve(&mut self, slice: TimeRange) -> Option<(TimeRange, u64)> {
        let steps = microseconds(slice) / self.step_us.max(1);
        if std::mem::replace(&mut self.is_approved, true) || steps <= 1 {
            return None;
        }
        let middle = at(slice.start(), microseconds(slice) / 2);
        let end = at(middle, self.step_us).min(slice.end());
        TimeRange::new(middle, end).map(|range| (range, steps))
    }

    /// Goes to the end, and returns what is left.
    pub(crate) fn rest(&mut self) -> Option<TimeRange> {
        let rest = TimeRange::new(self.next, self.end);
        self.next = self.end;
        rest
    }

    /// Says whether a range is the last.
    pub(crate) fn ends_with(&self, range: TimeRange) -> bool {
        range.end() == self.end
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use chrono::{DateTime, Utc};
    use domain::TimeRange;
    use proptest::prelude::*;

    use super::Pace;

    proptest! {
        #[test]
        fn ranges_follow_each_other_to_the_end(
            length_us in 1_i64..5_000,
            rows in 0_u64..100_000,
            most_bytes in 0_usize..100_000,
            bytes_per_us in prop::collection::vec(0_usize..10_000, 1..20),
        ) {
            let time = |us| DateTime::<Utc>::from_timestamp_micros(us).unwrap();
            let slice = TimeRange::new(time(-7), time(length_us - 7)).unwrap();
            let mut pace = Pace::new(slice, rows, None, most_bytes);
            let mut at = slice.start();
            let mut bytes_per_us = bytes_per_us.iter().cycle();
            while let Some(range) = pace.range() {
                prop_assert_eq!(range.start(), at);
                prop_assert!(range.end() <= slice.end());
                let length = usize::try_from(range.length().num_microseconds().unwrap()).unwrap();
                let bytes = length * bytes_per_us.next().unwrap();
                if bytes > most_bytes && pace.shorten(range) {
                    continue;
                }
                prop_assert!(bytes <= most_bytes || length == 1);
                pace.advance(range, bytes);
                at = range.end();
            }
            prop_assert_eq!(at, slice.end());
        }
    }

    #[test]
    fn few_rows_are_one_query() {
        let time = |us| DateTime::<Utc>::from_timestamp_micros(us).unwrap();
        let slice = TimeRange::new(time(0), time(86_400_000_000)).unwrap();
        assert_eq!(Pace::new(slice, 0, None, 128 << 20).range(), Some(slice));
        let pace = Pace::new(slice, 100_000, None, 128 << 20);
        assert_eq!(pace.range(), Some(slice));
        assert!(pace.ends_with(slice));
        let million = |row_bytes| {
            let pace = Pace::new(slice, 1_000_000, NonZeroU64::new(row_bytes), 128 << 20);
            pace.range().unwrap().length().num_microseconds()
        };
        assert_eq!(million(0), Some(86_400_000_000 / 15));
        assert_eq!(million(512), Some(86_400_000_000 / 7 + 1));
    }
}
