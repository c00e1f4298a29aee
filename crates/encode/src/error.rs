//! What can go wrong while encoding.

use std::io;

use arrow::datatypes::DataType;
use domain::{Classify, ErrorClass, ErrorCode};
use parquet::errors::ParquetError;

use crate::checkpoint::CheckpointError;

/// Why a file cannot be written. The same rows would fail again.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A column holds values of a type that the formats have no common form for.
    #[error("column {column:?} holds values of type {data_type}, which cannot be exported")]
    UnsupportedType {
        /// The column.
        column: String,
        /// The type, which may be inside of the column's own.
        data_type: DataType,
    },
    /// A batch has other columns than the encoder was made for.
    #[error("the record batch does not have the columns of the file")]
    SchemaMismatch,
    /// A row was named that no batch has.
    #[error("the record batches do not have a row that is to be encoded")]
    NoSuchRow,
    /// A block was pushed into a file of another format, or a second first block into a file.
    #[error("the block does not belong at this place of this file")]
    MisplacedBlock,
    /// gzip or zstd failed.
    #[error("the text could not be compressed")]
    Compress(#[from] io::Error),
    /// A row group or the footer could not be written.
    #[error("the Parquet file could not be written")]
    Parquet(#[from] ParquetError),
    /// A half-written file cannot be continued.
    #[error("the file cannot be continued behind a checkpoint")]
    Checkpoint(#[from] CheckpointError),
}

impl Classify for EncodeError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }

    fn code(&self) -> ErrorCode {
        match self {
            // No row is to blame.
            Self::Checkpoint(_) => ErrorCode::Internal,
            Self::UnsupportedType { .. }
            | Self::SchemaMismatch
            | Self::NoSuchRow
            | Self::MisplacedBlock
            | Self::Compress(_)
            | Self::Parquet(_) => ErrorCode::EncodingFailed,
        }
    }
}
