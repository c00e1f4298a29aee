//! Moments as clients write them.

use chrono::{DateTime, Utc};

/// Reads an RFC 3339 time, which has a zone, between the years 1900 and 2261, the range of
/// ClickHouse's `DateTime64(9)`, and in whole microseconds, the unit of Postgres' `timestamptz`:
/// a bound that was rounded would move rows in or out.
///
/// # Errors
///
/// What is wrong with it, to follow its name.
pub fn parse_time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| "must be an RFC 3339 time with a zone, such as 2026-01-01T00:00:00Z")?
        .to_utc();
    if time.timestamp_nanos_opt().is_none() || time.timestamp() < -2_208_988_800 {
        return Err("must be between the years 1900 and 2262");
    }
    if time.timestamp_subsec_nanos() % 1_000 != 0 {
        return Err("must not be finer than a microsecond");
    }
    Ok(time)
}
