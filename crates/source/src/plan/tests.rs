use chrono::{DateTime, Utc};
use domain::TimeRange;
use proptest::prelude::*;

use super::{Bucket, at, microseconds, slices};

fn range(start_us: i64, end_us: i64) -> TimeRange {
    let time = |us| DateTime::<Utc>::from_timestamp_micros(us).unwrap();
    TimeRange::new(time(start_us), time(end_us)).unwrap()
}

proptest! {
    #[test]
    fn slices_cover_the_window_without_gaps(
        counts in prop::collection::btree_map(0_i64..100, 1_u64..50, 0..60),
        target in 1_u64..200,
    ) {
        let window = range(-5, 1_007);
        let bucket = |(number, rows): (&i64, &u64)| Bucket {
            range: range(number * 10, number * 10 + 10),
            rows: *rows,
        };
        let buckets: Vec<_> = counts.iter().map(bucket).collect();
        let slices = slices(window, &buckets, target);
        prop_assert_eq!(slices[0].start(), window.start());
        prop_assert_eq!(slices[slices.len() - 1].end(), window.end());
        for pair in slices.windows(2) {
            prop_assert_eq!(pair[0].end(), pair[1].start());
        }
        for slice in slices {
            let inside = |bucket: &&Bucket| {
                slice.start() <= bucket.range.start() && bucket.range.start() < slice.end()
            };
            let rows: Vec<_> = buckets.iter().filter(inside).map(|bucket| bucket.rows).collect();
            prop_assert!(rows.len() <= 1 || rows.iter().sum::<u64>() <= target);
        }
    }
}

proptest! {
    #[test]
    fn a_bucket_is_spread_evenly(length_us in 1_i64..5_000, rows in 1_u64..10_000, most in 1_u64..500) {
        let bucket = Bucket { range: range(-7, length_us - 7), rows };
        let pieces: Vec<_> = bucket.spread(most).collect();
        let mut at = bucket.range.start();
        for piece in &pieces {
            prop_assert_eq!(piece.range.start(), at);
            at = piece.range.end();
            prop_assert!(piece.rows <= most || pieces.len() as u64 == microseconds(bucket.range));
        }
        prop_assert_eq!(at, bucket.range.end());
        prop_assert_eq!(pieces.iter().map(|piece| piece.rows).sum::<u64>(), rows);
    }
}

#[test]
fn no_rows_are_one_slice() {
    assert_eq!(slices(range(0, 10), &[], 5), [range(0, 10)]);
}

#[test]
fn the_longest_window_is_counted_in_microseconds() {
    let start = "1900-01-01T00:00:00Z".parse().unwrap();
    let end: DateTime<Utc> = "2262-01-01T00:00:00.000001Z".parse().unwrap();
    let length = microseconds(TimeRange::new(start, end).unwrap());
    assert_eq!(at(start, length), end);
    assert_eq!(microseconds(range(0, 1)), 1);
}
