//! Checkpoints as they are stored: what a file says of itself, and a checksum behind it.

use bytes::Bytes;
use flate2::Crc;
use parquet::errors::ParquetError;

/// Why a half-written file cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The bytes are not those that were written.
    #[error("its checksum is wrong")]
    Damaged,
    /// The checkpoint is of a file of other columns, another format or another compression.
    #[error("it belongs to another file")]
    Foreign,
    /// A checkpoint before this one is missing, or this one comes twice.
    #[error("it does not go on where the one before ends")]
    OutOfOrder,
    /// The bytes are whole, but Parquet cannot read them.
    #[error("it is no Parquet metadata")]
    Parquet(#[from] ParquetError),
}

/// How many bytes the checksum has.
const CHECKSUM_BYTES: usize = 4;

/// Adds the checksum. Nothing stays nothing.
pub(crate) fn seal(mut record: Vec<u8>) -> Bytes {
    if !record.is_empty() {
        let checksum = checksum(&record);
        record.extend_from_slice(&checksum);
    }
    record.into()
}

/// Checks the checksum and returns what it stands behind. So no parser has to cope with anything but
/// what [`seal`] was given.
pub(crate) fn open(checkpoint: &[u8]) -> Result<&[u8], CheckpointError> {
    match checkpoint.split_last_chunk::<CHECKSUM_BYTES>() {
        Some((record, found)) if !record.is_empty() && *found == checksum(record) => Ok(record),
        _ => Err(CheckpointError::Damaged),
    }
}

fn checksum(record: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut crc = Crc::new();
    crc.update(record);
    crc.sum().to_le_bytes()
}
