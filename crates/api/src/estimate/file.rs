//! A file that is not made yet, by what others took or by a sample of its rows.

use std::num::NonZeroU64;

use domain::{Compression, Output, ParquetCompression};
use serde::Serialize;
use source::Sample;
use store::jobs::Cost;
use utoipa::ToSchema;

/// How many exports count, those that are closest in rows: what a small export takes for a row says
/// nothing of a large one.
const CLOSEST: usize = 9;

/// What an estimate is derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Basis {
    /// Exports that are like it.
    Exports,
    /// Some of its rows.
    Sample,
}

/// A file that is not made yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileEstimate {
    pub(super) size_bytes: u64,
    pub(super) elapsed_ms: u64,
    pub(super) basis: Basis,
}

impl FileEstimate {
    /// Estimates a file of `rows` rows by exports that are like it, if there are any.
    pub(super) fn of_exports(costs: &[Cost], rows: u64) -> Option<Self> {
        let mut costs = costs.to_vec();
        costs.sort_by_key(|cost| distance(cost.rows, rows));
        costs.truncate(CLOSEST);
        let median = |taken: fn(&Cost) -> u128| {
            let of_rows = |cost: &Cost| {
                taken(cost).saturating_mul(rows.into()) / u128::from(cost.rows.max(1))
            };
            let mut all: Vec<_> = costs.iter().map(of_rows).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().map(saturated)
        };
        Some(Self {
            size_bytes: median(|cost| cost.size_bytes.into())?,
            elapsed_ms: median(|cost| cost.elapsed.as_millis())?,
            basis: Basis::Exports,
        })
    }

    /// Estimates a file of `rows` rows by some of them, if there are any, at so many bytes in memory a
    /// second.
    pub(super) fn of_sample(
        sample: Sample,
        output: &Output,
        rows: u64,
        bytes_per_s: NonZeroU64,
    ) -> Option<Self> {
        if sample.rows == 0 && rows > 0 {
            return None;
        }
        let bytes = u128::from(sample.bytes) * u128::from(rows) / u128::from(sample.rows.max(1));
        Some(Self {
            size_bytes: saturated(bytes.saturating_mul(percent(output)) / 100),
            elapsed_ms: saturated(bytes.saturating_mul(1_000) / u128::from(bytes_per_s.get())),
            basis: Basis::Sample,
        })
    }
}

/// How far apart two numbers of rows are: how many times the one the other is, in thousandths.
fn distance(a: u64, b: u64) -> u128 {
    let (less, more) = (a.min(b).max(1), a.max(b));
    u128::from(more) * 1_000 / u128::from(less)
}

/// What a file takes of what its rows take in ClickHouse's memory. Measured with logs, spans and
/// metrics of the devstack; telemetry that repeats less takes more.
fn percent(output: &Output) -> u128 {
    match output {
        Output::Csv { compression, .. } | Output::Json { compression, .. }
            if *compression != Compression::None =>
        {
            10
        }
        Output::Csv { .. } => 80,
        Output::Json { .. } => 120,
        Output::Parquet { options } => match options.compression {
            ParquetCompression::Zstd | ParquetCompression::Gzip => 8,
            ParquetCompression::Snappy => 12,
            ParquetCompression::None => 30,
        },
    }
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use domain::{Format, Output};
    use source::Sample;
    use store::jobs::Cost;

    use super::{Basis, FileEstimate};

    const FAST: NonZeroU64 = NonZeroU64::new(100_000_000).unwrap();

    fn cost(rows: u64, size_bytes: u64, elapsed_ms: u64) -> Cost {
        Cost {
            rows,
            size_bytes,
            elapsed: Duration::from_millis(elapsed_ms),
        }
    }

    fn of_exports(costs: &[Cost], rows: u64) -> (u64, u64) {
        let file = FileEstimate::of_exports(costs, rows).unwrap();
        assert_eq!(file.basis, Basis::Exports);
        (file.size_bytes, file.elapsed_ms)
    }

    #[test]
    fn small_exports_say_nothing_of_large_ones() {
        // A small one takes as long as its file has an overhead.
        let mut costs = vec![cost(1, 500, 90); 50];
        costs.extend([cost(1_000_000, 60_000_000, 4_000); 9]);
        assert_eq!(of_exports(&costs, 2_000_000), (120_000_000, 8_000));
        assert_eq!(of_exports(&costs, 1), (500, 90));
        assert_eq!(of_exports(&costs, 0), (0, 0));
    }

    #[test]
    fn one_that_had_to_wait_is_not_believed() {
        let mut costs = vec![cost(1_000, 10_000, 100); 5];
        costs.push(cost(1_000, 10_000, 3_600_000));
        assert_eq!(of_exports(&costs, 10_000), (100_000, 1_000));
        assert_eq!(FileEstimate::of_exports(&[], 10_000), None);
    }

    #[test]
    fn no_number_is_too_large() {
        assert_eq!(
            of_exports(&[cost(1, u64::MAX, u64::MAX)], u64::MAX),
            (u64::MAX, u64::MAX)
        );
        let sample = Sample {
            rows: 1,
            bytes: u64::MAX,
        };
        let output = Output::default_of(Format::Json);
        let file = FileEstimate::of_sample(sample, &output, u64::MAX, FAST).unwrap();
        assert_eq!((file.size_bytes, file.elapsed_ms), (u64::MAX, u64::MAX));
    }

    #[test]
    fn a_sample_stands_for_all_rows() {
        let sample = Sample {
            rows: 1_000,
            bytes: 700_000,
        };
        let of = |format, rows| {
            let output = Output::default_of(format);
            let file = FileEstimate::of_sample(sample, &output, rows, FAST);
            file.map(|file| (file.size_bytes, file.elapsed_ms))
        };
        assert_eq!(of(Format::Csv, 1_000_000), Some((70_000_000, 7_000)));
        assert_eq!(of(Format::Parquet, 1_000_000), Some((56_000_000, 7_000)));
        let none = Sample { rows: 0, bytes: 0 };
        let output = Output::default_of(Format::Csv);
        assert_eq!(FileEstimate::of_sample(none, &output, 5, FAST), None);
        let empty = FileEstimate::of_sample(none, &output, 0, FAST).unwrap();
        assert_eq!((empty.size_bytes, empty.elapsed_ms), (0, 0));
    }
}
