//! Blocks to a file, in their order.

use bytes::Bytes;

use crate::checkpoint;
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

    /// Returns how many more bytes the file has at most if it ends behind this block, which is the next.
    /// For the same blocks it is always the same, also behind a checkpoint.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push), and if the compressor or Parquet fails.
    pub fn most_bytes_with(&mut self, block: &EncodedBlock) -> Result<u64, EncodeError> {
        let bytes = match (&mut self.file, &block.content) {
            (_, Content::Empty) => 0,
            (File::Text(file), Content::Text(block)) => file.most_bytes_with(block)?,
            (File::Parquet(file), Content::RowGroup(group)) => file.most_bytes_with(group)?,
            _ => return Err(EncodeError::MisplacedBlock),
        };
        Ok(bytes as u64)
    }

    /// Returns what another process must know of the blocks that were pushed since the last
    /// checkpoint, to go on behind them with [`Encoder::resume`](crate::Encoder::resume). Nothing
    /// at all if there is nothing to know.
    ///
    /// The checkpoints of a file belong together, and with the bytes up to there: each counts as
    /// taken, so none must be lost. The size of one grows with the number of its row groups; for
    /// CSV and JSON the first is as long as what opens the file, the others are empty.
    ///
    /// # Errors
    ///
    /// If Parquet fails.
    pub fn checkpoint(&mut self) -> Result<Bytes, EncodeError> {
        let record = match &mut self.file {
            File::Text(file) => file.checkpoint(),
            File::Parquet(file) => file.checkpoint()?,
        };
        Ok(checkpoint::seal(record))
    }

    /// Takes over the blocks of a checkpoint.
    pub(crate) fn restore(&mut self, checkpoint: &[u8]) -> Result<(), EncodeError> {
        if checkpoint.is_empty() {
            return Ok(());
        }
        let record = checkpoint::open(checkpoint)?;
        match &mut self.file {
            File::Text(file) => file.restore(record)?,
            File::Parquet(file) => file.restore(record)?,
        }
        Ok(())
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
