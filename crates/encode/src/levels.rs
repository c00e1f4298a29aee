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

/// How hard lines are compressed into gzip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub enum GzipLevel {
    /// By the crate `deflate`, which has but one way. The level 0 of a configuration.
    #[default]
    Fast,
    /// By libdeflate, on one of its levels from 1 to 12.
    Libdeflate(u8),
}

/// A level of zstd, 1 to 12. Higher ones take memory that a worker does not have for each thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct ZstdLevel(u8);

/// A level that there is not.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LevelError {
    /// Of gzip.
    #[error("gzip has the levels 0 to 12")]
    Gzip,
    /// Of zstd.
    #[error("zstd has the levels 1 to 12 here")]
    Zstd,
}

impl TryFrom<u8> for GzipLevel {
    type Error = LevelError;

    fn try_from(level: u8) -> Result<Self, LevelError> {
        match level {
            0 => Ok(Self::Fast),
            1..=12 => Ok(Self::Libdeflate(level)),
            _ => Err(LevelError::Gzip),
        }
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
            1..=12 => Ok(Self(level)),
            _ => Err(LevelError::Zstd),
        }
    }
}
