//! Times as text, RFC 3339, without the cost of a general formatter.

use arrow::datatypes::TimeUnit;

const SECONDS_PER_DAY: i64 = 86_400;

/// Writes a timestamp as `2026-01-31T12:34:56.123456789Z`.
///
/// `value` counts `unit`s since 1970-01-01T00:00:00Z. Years that RFC 3339 has no form for are
/// written with a sign, as ISO 8601 has it.
pub(crate) fn write_timestamp(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (seconds, nanos) = match unit {
        TimeUnit::Second => (value, 0),
        TimeUnit::Millisecond => split::<1_000>(value),
        TimeUnit::Microsecond => split::<1_000_000>(value),
        TimeUnit::Nanosecond => split::<1_000_000_000>(value),
    };
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    write_date(seconds.div_euclid(SECONDS_PER_DAY), out);
    let mut text = *b"T00:00:00.000000000Z";
    put_digits(&mut text[1..3], second / 3_600);
    put_digits(&mut text[4..6], second / 60 % 60);
    put_digits(&mut text[7..9], second % 60);
    put_digits(&mut text[10..19], nanos);
    out.extend_from_slice(&text);
}

/// Writes a date as `2026-01-31`; `days` counts from 1970-01-01.
pub(crate) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00";
    put_digits(&mut text[5..7], month);
    put_digits(&mut text[8..], day);
    if (0..=9_999).contains(&year) {
        put_digits(&mut text[..4], year);
        out.extend_from_slice(&text);
    } else {
        out.extend_from_slice(format!("{year:+05}").as_bytes());
        out.extend_from_slice(&text[4..]);
    }
}

/// Splits a count of 1 / `PER_SECOND` seconds into seconds and nanoseconds.
fn split<const PER_SECOND: i64>(value: i64) -> (i64, i64) {
    let nanos = value.rem_euclid(PER_SECOND) * (1_000_000_000 / PER_SECOND);
    (value.div_euclid(PER_SECOND), nanos)
}

/// Returns year, month and day in the proleptic Gregorian calendar.
///
/// Years are counted from 1 March, so that the leap day is the last of its year, in eras of
/// 400 years, which all have the same number of days (H. Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    const FROM_MARCH_OF_YEAR_0_TO_1970: i64 = 719_468;
    let days = days + FROM_MARCH_OF_YEAR_0_TO_1970;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    // Days that are no leap days, in years of 365.
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March on, and from August on, have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Fills `text` with the last digits of a number that is not negative.
fn put_digits(text: &mut [u8], mut number: i64) {
    for digit in text.iter_mut().rev() {
        #[expect(clippy::cast_sign_loss, reason = "the number is not negative")]
        let last = (number % 10) as u8;
        *digit = b'0' + last;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::{write_date, write_timestamp};

    fn written(value: i64, unit: TimeUnit) -> String {
        let mut out = Vec::new();
        write_timestamp(value, unit, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn by_chrono(time: DateTime<Utc>) -> String {
        time.format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
    }

    #[test]
    fn corners() {
        let nanos = |value| written(value, TimeUnit::Nanosecond);
        assert_eq!(nanos(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(nanos(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(nanos(i64::MAX), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(nanos(i64::MIN), "1677-09-21T00:12:43.145224192Z");
        let seconds = |value| written(value, TimeUnit::Second);
        assert_eq!(seconds(951_782_400), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(seconds(4_107_542_399), "2100-02-28T23:59:59.000000000Z");
        assert_eq!(seconds(253_402_300_800), "+10000-01-01T00:00:00.000000000Z");
        assert_eq!(seconds(-62_167_219_201), "-0001-12-31T23:59:59.000000000Z");
        assert_eq!(seconds(i64::MAX), "+292277026596-12-04T15:30:07.000000000Z");
    }

    proptest! {
        #[test]
        fn nanoseconds_are_as_chrono_writes_them(value: i64) {
            let expected = by_chrono(DateTime::from_timestamp_nanos(value));
            prop_assert_eq!(written(value, TimeUnit::Nanosecond), expected);
        }

        #[test]
        fn microseconds_are_as_chrono_writes_them(value in -100_000_000_000_000_000_i64..300_000_000_000_000_000) {
            let expected = by_chrono(DateTime::from_timestamp_micros(value).unwrap());
            prop_assert_eq!(written(value, TimeUnit::Microsecond), expected);
        }

        #[test]
        fn milliseconds_are_as_chrono_writes_them(value in -100_000_000_000_000_i64..300_000_000_000_000) {
            let expected = by_chrono(DateTime::from_timestamp_millis(value).unwrap());
            prop_assert_eq!(written(value, TimeUnit::Millisecond), expected);
        }

        #[test]
        fn dates_are_as_chrono_writes_them(days in -1_000_000_i64..4_000_000) {
            let mut out = Vec::new();
            write_date(days, &mut out);
            let date = DateTime::from_timestamp(days * 86_400, 0).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), date.format("%Y-%m-%d").to_string());
        }
    }
}
