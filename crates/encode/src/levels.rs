//! How hard files are compressed.

use serde::Deserialize;
use thiserror::Error;

/// The levels of the compressors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels {
    /// Of CSV and JSON in gzip.
    pub gzip: GzipLevel,
    /// Of zstd, in Parquet files too.
    pub zstd: ZstdLevel,
}

/// How hard lines are compressed into gzip: 0 stands for the crate `deflate`, which has but one way, and
/// 4 to 12 are libdeflate's levels. Its lower ones take longer and make larger files than 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct GzipLevel(u8);

/// A level of zstd, 1 to 9: the last takes 17 MiB for each thread that encodes, and 12 would take 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct ZstdLevel(u8);

/// A level that there is not.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LevelError {
    /// Of gzip.
    #[error("gzip has the levels 0 and 4 to 12")]
    Gzip,
    /// Of zstd.
    #[error("zstd has the levels 1 to 9 here")]
    Zstd,
}

impl TryFrom<u8> for GzipLevel {
    type Error = LevelError;

    fn try_from(level: u8) -> Result<Self, LevelError> {
        match level {
            0 | 4..=12 => Ok(Self(level)),
            _ => Err(LevelError::Gzip),
        }
    }
}

impl GzipLevel {
    /// The level of libdeflate, where that compresses.
    pub(crate) fn of_libdeflate(self) -> Option<u8> {
        (self.0 > 0).then_some(self.0)
    }
}

impl ZstdLevel {
    /// The level as zstd has it.
    pub(crate) fn get(self) -> i32 {
        self.0.into()
    }
}

/// Telemetry gets no smaller on the level 3, which takes twice the time.
impl Default for ZstdLevel {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u8> for ZstdLevel {
    type Error = LevelError;

    fn try_from(level: u8) -> Result<Self, LevelError> {
        match level {
            1..=9 => Ok(Self(level)),
            _ => Err(LevelError::Zstd),
        }
    }
}
