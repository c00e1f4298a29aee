//! When something recurs: a cron expression, by the clocks of a place.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// A cron expression of five fields, and the time zone whose clocks it means.
///
/// A time of day that the clocks leave out comes when they are put forward; one that they show twice
/// comes the first time. What recurs within the hour goes on as if no clock were changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrence {
    text: String,
    cron: Cron,
    zone: Tz,
}

/// Bytes of the longest expression.
const MAX_BYTES: usize = 100;

impl Recurrence {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow its name.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(text).map_err(|_| {
            "must be a cron expression of minute, hour, day of the month, month and day of the week, \
             such as 30 2 * * *"
        })?;
        Ok(Self {
            text: text.to_owned(),
            cron,
            zone,
        })
    }

    /// Asserts that it comes at all, and never sooner than `shortest` after itself.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow its name.
    pub fn check(&self, shortest: TimeDelta, now: DateTime<Utc>) -> Result<(), String> {
        let mut last = self.next_after(now).ok_or("never comes")?;
        // Each day on which it comes at all is like the others.
        let end = last + TimeDelta::days(2);
        while let Some(next) = self.next_after(last).filter(|next| *next <= end) {
            if next - last < shortest {
                return Err(format!(
                    "comes again after {} s; at least {} s are needed",
                    (next - last).num_seconds(),
                    shortest.num_seconds(),
                ));
            }
            last = next;
        }
        Ok(())
    }

    /// Returns the expression.
    pub fn cron(&self) -> &str {
        &self.text
    }

    /// Returns the time zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Returns when it comes next after a moment; nothing when it never does.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = time.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?.to_utc();
        (next > time).then_some(next)
    }

    /// Returns when it came last, at the latest at a moment.
    pub fn last_until(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = time.with_timezone(&self.zone);
        let last = self.cron.find_previous_occurrence(&local, true).ok()?;
        Some(last.to_utc()).filter(|last| *last <= time)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::Recurrence;

    fn recurrence(cron: &str) -> Recurrence {
        Recurrence::parse(cron, "Europe/Berlin".parse().unwrap()).unwrap()
    }

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Asserts when an expression comes after a moment.
    fn assert_next(cron: &str, after: &str, expected: &[&str]) {
        let recurrence = recurrence(cron);
        let mut now = time(after);
        for next in expected {
            now = recurrence.next_after(now).unwrap();
            assert_eq!(now, time(next), "{cron}");
            assert_eq!(recurrence.last_until(now), Some(now), "{cron}");
        }
    }

    #[test]
    fn half_past_two_comes_once_on_each_day() {
        // In spring the clocks go from 2 to 3, in autumn from 3 back to 2.
        let spring = [
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
        ];
        assert_next("30 2 * * *", "2026-03-28T00:00:00Z", &spring);
        let autumn = [
            "2026-10-24T00:30:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        ];
        assert_next("30 2 * * *", "2026-10-24T00:00:00Z", &autumn);
    }

    #[test]
    fn what_comes_each_hour_comes_each_hour() {
        let spring = [
            "2026-03-29T00:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T02:00:00Z",
        ];
        assert_next("0 * * * *", "2026-03-28T23:30:00Z", &spring);
        let autumn = [
            "2026-10-25T00:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
        ];
        assert_next("0 * * * *", "2026-10-24T23:30:00Z", &autumn);
    }

    #[test]
    fn what_was_missed_is_found() {
        let daily = recurrence("30 2 * * *");
        for (now, last) in [
            ("2026-06-10T12:00:00Z", "2026-06-10T00:30:00Z"),
            ("2026-06-10T00:29:59Z", "2026-06-09T00:30:00Z"),
            ("2026-03-29T12:00:00Z", "2026-03-29T01:00:00Z"),
            ("2026-10-25T12:00:00Z", "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(daily.last_until(time(now)), Some(time(last)), "{now}");
        }
    }

    #[test]
    fn an_expression_that_is_none_is_refused() {
        let zone = "UTC".parse().unwrap();
        for text in [
            "",
            "* * * *",
            "0 * * * * *",
            "60 * * * *",
            "x * * * *",
            &"*".repeat(101),
        ] {
            assert!(Recurrence::parse(text, zone).is_err(), "{text}");
        }
    }

    #[test]
    fn what_comes_too_often_or_never_is_refused() {
        let now = time("2026-06-10T12:00:00Z");
        let check = |cron, minutes| recurrence(cron).check(TimeDelta::minutes(minutes), now);
        assert_eq!(check("*/15 * * * *", 15), Ok(()));
        assert_eq!(check("0 3 1 1 *", 15), Ok(()));
        let often = "comes again after 60 s; at least 900 s are needed".to_owned();
        assert_eq!(check("* * * * *", 15), Err(often.clone()));
        assert_eq!(check("0,1 3 1 1 *", 15), Err(often.clone()));
        assert_eq!(check("59,0 * * * *", 15), Err(often));
        assert_eq!(check("0 0 30 2 *", 15), Err("never comes".to_owned()));
    }
}
