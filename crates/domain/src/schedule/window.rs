//! Which time an export that recurs is of.

use chrono::offset::LocalResult;
use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

use crate::closed_set::closed_set;
use crate::time_range::TimeRange;

closed_set! {
    /// The last whole one of these before a moment, by the clocks of a place.
    Window {
        /// From a full hour to the next.
        Hour = "hour",
        /// From midnight to midnight: 23, 24 or 25 hours.
        Day = "day",
        /// From Monday to Sunday.
        Week = "week",
        /// From the first of a month to its last day.
        Month = "month",
    }
}

impl Window {
    /// Returns the window before a moment; nothing where the place had no such day, since it moved over
    /// the date line.
    pub fn before(self, time: DateTime<Utc>, zone: Tz) -> Option<TimeRange> {
        let local = time.with_timezone(&zone);
        let today = local.date_naive();
        let monday =
            || today.checked_sub_days(Days::new(local.weekday().num_days_from_monday().into()));
        let (first, end) = match self {
            Self::Hour => {
                let seconds = time.timestamp() + i64::from(local.offset().fix().local_minus_utc());
                let end = time.timestamp() - seconds.rem_euclid(3600);
                let end = DateTime::from_timestamp(end, 0)?;
                return TimeRange::new(end - TimeDelta::hours(1), end);
            }
            Self::Day => (today.checked_sub_days(Days::new(1))?, today),
            Self::Week => (monday()?.checked_sub_days(Days::new(7))?, monday()?),
            Self::Month => {
                let end = today.with_day(1)?;
                (end.checked_sub_months(Months::new(1))?, end)
            }
        };
        TimeRange::new(start_of(first, zone), start_of(end, zone))
    }
}

/// Returns the first moment of a day. Where clocks are put back over midnight that is the first of the
/// two, where they are put forward the moment in which it is done.
fn start_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.to_utc(),
        LocalResult::None => {
            let before = zone.from_local_datetime(&(midnight - TimeDelta::days(1)));
            let offset = before.earliest().map(|time| time.offset().fix());
            let offset = offset.map_or(0, |offset| offset.local_minus_utc());
            midnight.and_utc() - TimeDelta::seconds(offset.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::Window;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Asserts which window is before a moment, and how many hours it has.
    fn assert_window(window: Window, zone: &str, at: &str, expected: [&str; 2], hours: i64) {
        let range = window.before(time(at), zone.parse().unwrap()).unwrap();
        let found = [range.start(), range.end()];
        assert_eq!(found, expected.map(time), "{window} before {at} in {zone}");
        assert_eq!(range.length().num_hours(), hours);
    }

    #[test]
    fn a_day_has_as_many_hours_as_its_clocks_say() {
        for (at, expected, hours) in [
            // Summer time begins on 29 March, and ends on 25 October.
            (
                "2026-03-29T00:30:00Z",
                ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z"],
                24,
            ),
            (
                "2026-03-30T00:30:00Z",
                ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"],
                23,
            ),
            (
                "2026-10-26T01:30:00Z",
                ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
                25,
            ),
            (
                "2026-10-25T22:59:59Z",
                ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z"],
                24,
            ),
        ] {
            assert_window(Window::Day, "Europe/Berlin", at, expected, hours);
        }
    }

    #[test]
    fn days_without_a_midnight_begin_when_the_clocks_were_changed() {
        // Cairo put its clocks forward at midnight of 24 April 2026, Havana back at 1 o'clock.
        let day = ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"];
        assert_window(Window::Day, "Africa/Cairo", "2026-04-25T03:00:00Z", day, 23);
        let day = ["2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"];
        assert_window(
            Window::Day,
            "America/Havana",
            "2026-11-02T06:00:00Z",
            day,
            25,
        );
        // Samoa had no 30 December 2011.
        let zone = "Pacific/Apia".parse().unwrap();
        assert_eq!(Window::Day.before(time("2011-12-30T12:00:00Z"), zone), None);
    }

    #[test]
    fn hours_follow_each_other_when_the_clocks_are_changed() {
        for (at, expected) in [
            (
                "2026-10-25T00:30:00Z",
                ["2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z"],
            ),
            (
                "2026-10-25T01:30:00Z",
                ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"],
            ),
            (
                "2026-10-25T02:00:00Z",
                ["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
            ),
        ] {
            assert_window(Window::Hour, "Europe/Berlin", at, expected, 1);
        }
        let half = ["2026-01-01T09:30:00Z", "2026-01-01T10:30:00Z"];
        assert_window(
            Window::Hour,
            "Asia/Kolkata",
            "2026-01-01T11:29:59Z",
            half,
            1,
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let week = ["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"];
        assert_window(
            Window::Week,
            "Europe/Berlin",
            "2026-04-01T00:00:00Z",
            week,
            167,
        );
        let month = ["2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z"];
        assert_window(
            Window::Month,
            "America/New_York",
            "2026-03-31T12:00:00Z",
            month,
            672,
        );
    }
}
