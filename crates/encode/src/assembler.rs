//! Blocks to a file, in their order.

use bytes::Bytes;

use crate::encoder::{Content, EncodedBlock};
use crate::error::EncodeError;
use crate::parquet_file::ParquetFile;
use crate::text::TextFile;

/// Puts the blocks of one [`Encoder`](crate::Encoder) together.
///
/// The file is all that [`push`](Self::push) and [`finish`](Self::finish) return, one after the
/// other. Without any block it is a valid file without rows.
pub struct Assembler {
    file: File,
}

pub(crate) enum File {
    Text(TextFile),
    Parquet(ParquetFile),
}

impl Assembler {
    pub(crate) fn new(file: File) -> Self {
        Self { file }
    }

    /// Adds the next block and returns the bytes of the file up to its end.
    ///
    /// # Errors
    ///
    /// [`EncodeError::MisplacedBlock`] if the block is of another format, or opens the file a
    /// second time.
    pub fn push(&mut self, block: EncodedBlock) -> Result<Bytes, EncodeError> {
        match (&mut self.file, block.content) {
            (_, Content::Empty) => Ok(Bytes::new()),
            (File::Text(file), Content::Text(block)) => file.push(block),
            (File::Parquet(file), Content::RowGroup(row_group)) => file.push(*row_group),
            _ => Err(EncodeError::MisplacedBlock),
        }
    }

    /// Ends the file and returns its last bytes.
    ///
    /// # Errors
    ///
    /// If the compressor or Parquet fails.
    pub fn finish(self) -> Result<Bytes, EncodeError> {
        match self.file {
            File::Text(file) => file.finish(),
            File::Parquet(file) => file.finish(),
        }
    }
}
