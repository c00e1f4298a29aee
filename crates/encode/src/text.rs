//! CSV and JSON files: blocks of lines, and what stands before, between and after them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::Schema;
use bytes::Bytes;
use domain::{CsvOptions, JsonLayout, JsonOptions};

use crate::checkpoint::CheckpointError;
use crate::column::Column;
use crate::compress::{Compressed, TextCodec};
use crate::csv::CsvRows;
use crate::encoder::BlockPosition;
use crate::error::EncodeError;
use crate::json::JsonRows;
use crate::rows::Rows;

/// Writes rows as text.
pub(crate) struct TextEncoder {
    lines: Lines,
    frame: Arc<Frame>,
    codec: TextCodec,
    /// How large the last block was that was encoded: the next one will be about as large.
    last_bytes: AtomicUsize,
}

enum Lines {
    Csv(CsvRows),
    Json(JsonRows),
}

/// The parts of a file that are not rows.
struct Frame {
    open: Vec<u8>,
    /// Between two rows, also those of two blocks.
    between: &'static [u8],
    close: &'static [u8],
}

/// A block of rows, compressed.
pub(crate) struct TextBlock {
    bytes: Vec<u8>,
    position: BlockPosition,
}

impl TextEncoder {
    pub(crate) fn csv(options: &CsvOptions, codec: TextCodec, schema: &Schema) -> Self {
        let rows = CsvRows::new(options);
        let frame = Frame {
            open: rows.header(schema),
            between: b"",
            close: b"",
        };
        Self::new(Lines::Csv(rows), frame, codec)
    }

    pub(crate) fn json(options: &JsonOptions, codec: TextCodec, schema: &Schema) -> Self {
        let (end, open, between, close): (&[u8], &[u8], &[u8], &[u8]) = match options.layout {
            JsonLayout::Lines => (b"\n", b"", b"", b""),
            JsonLayout::Array => (b"", b"[", b",\n", b"]\n"),
        };
        let frame = Frame {
            open: open.to_vec(),
            between,
            close,
        };
        Self::new(Lines::Json(JsonRows::new(schema, end)), frame, codec)
    }

    fn new(lines: Lines, frame: Frame, codec: TextCodec) -> Self {
        Self {
            lines,
            frame: Arc::new(frame),
            codec,
            last_bytes: AtomicUsize::new(0),
        }
    }

    pub(crate) fn encode(
        &self,
        rows: Rows<'_>,
        position: BlockPosition,
    ) -> Result<TextBlock, EncodeError> {
        let mut compressed = Compressed::new(self.codec)?;
        let last_bytes = self.last_bytes.load(Ordering::Relaxed);
        compressed.expect(last_bytes + last_bytes / 8);
        if position == BlockPosition::First {
            compressed.append(|out| out.extend_from_slice(&self.frame.open))?;
        }
        let columns = rows.batches().iter().map(Column::of_batch);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut between: &[u8] = b"";
        rows.try_each(|batch, rows| {
            for row in rows {
                compressed.append(|out| {
                    out.extend_from_slice(between);
                    match &self.lines {
                        Lines::Csv(csv) => csv.write_row(&columns[batch], row, out),
                        Lines::Json(json) => json.write_row(&columns[batch], row, out),
                    }
                })?;
                between = self.frame.between;
            }
            Ok::<_, EncodeError>(())
        })?;
        let bytes = compressed.finish()?;
        self.last_bytes.store(bytes.len(), Ordering::Relaxed);
        Ok(TextBlock { bytes, position })
    }

    pub(crate) fn file(&self) -> TextFile {
        TextFile {
            frame: Arc::clone(&self.frame),
            codec: self.codec,
            opened: false,
            recorded: false,
        }
    }
}

/// Puts the blocks of a file together.
pub(crate) struct TextFile {
    frame: Arc<Frame>,
    codec: TextCodec,
    opened: bool,
    /// Whether a checkpoint says that it is opened.
    recorded: bool,
}

impl TextFile {
    pub(crate) fn push(&mut self, block: TextBlock) -> Result<Bytes, EncodeError> {
        let mut bytes = self.before(&block)?;
        self.opened = true;
        if bytes.is_empty() {
            return Ok(block.bytes.into());
        }
        bytes.extend_from_slice(&block.bytes);
        Ok(bytes.into())
    }

    pub(crate) fn most_bytes_with(&self, block: &TextBlock) -> Result<usize, EncodeError> {
        let close = self.optional_member(self.frame.close)?;
        Ok(self.before(block)?.len() + block.bytes.len() + close.len())
    }

    /// Returns what stands between the file so far and the next block.
    fn before(&self, block: &TextBlock) -> Result<Vec<u8>, EncodeError> {
        let before = match (block.position, self.opened) {
            (BlockPosition::First, false) => b"",
            (BlockPosition::First, true) => return Err(EncodeError::MisplacedBlock),
            (BlockPosition::Later, false) => &self.frame.open[..],
            (BlockPosition::Later, true) => self.frame.between,
        };
        Ok(self.optional_member(before)?)
    }

    /// Blocks are members of their own, so all there is to know is that the file is opened, and how.
    pub(crate) fn checkpoint(&mut self) -> Vec<u8> {
        let recorded = std::mem::replace(&mut self.recorded, self.opened);
        if recorded == self.opened {
            return Vec::new();
        }
        self.record()
    }

    pub(crate) fn restore(&mut self, record: &[u8]) -> Result<(), CheckpointError> {
        if record != self.record() {
            return Err(CheckpointError::Foreign);
        }
        if self.opened {
            return Err(CheckpointError::OutOfOrder);
        }
        self.opened = true;
        self.recorded = true;
        Ok(())
    }

    fn record(&self) -> Vec<u8> {
        [
            self.codec.compression.as_str().as_bytes(),
            b"\n",
            &self.frame.open,
        ]
        .concat()
    }

    pub(crate) fn finish(self) -> Result<Bytes, EncodeError> {
        let close = self.frame.close;
        let end = if self.opened {
            self.optional_member(close)?
        } else {
            // Even a file of nothing is one member: no bytes at all would not be gzip.
            self.member(&[&self.frame.open, close].concat())?
        };
        Ok(end.into())
    }

    /// Returns a member of some text, or nothing where there is none.
    fn optional_member(&self, text: &[u8]) -> io::Result<Vec<u8>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        self.member(text)
    }

    fn member(&self, text: &[u8]) -> io::Result<Vec<u8>> {
        Compressed::of(text, self.codec)
    }
}
