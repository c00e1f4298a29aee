//! The bytes of an answer to record batches: gzip around ClickHouse's Native format.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use native::Limits;

use crate::canonical;
use crate::error::SourceError;
use crate::exception::Tail;
use crate::inflate::Inflate;

/// How many bytes of an answer that makes no sense are read on, for the exception behind them.
const EXCEPTION_BYTES: usize = 64 * 1024;

/// What `clickhouse.max_block_rows` rows may have in sum.
const BLOCK_BYTES: usize = 1 << 30;

/// Decodes one answer.
pub(crate) struct Decoder {
    inflate: Inflate,
    native: native::Decoder,
    schema: SchemaRef,
    tail: Tail,
}

impl Decoder {
    /// Makes a decoder of an answer that is expected to have this schema. `exception_tag` is what
    /// the server said that an exception in its middle is marked with.
    pub(crate) fn new(schema: SchemaRef, exception_tag: Option<String>) -> Self {
        Self {
            inflate: Inflate::new(),
            native: native::Decoder::new(Limits {
                block_bytes: BLOCK_BYTES,
                ..Limits::default()
            }),
            schema,
            tail: Tail::new(exception_tag),
        }
    }

    /// Decodes all chunks, hands on each batch that is complete, and checks that the answer is
    /// whole.
    ///
    /// # Errors
    ///
    /// When the bytes are no gzip around Native, have other columns, were cut, or go on behind the
    /// end; [`SourceError::Engine`] when they end with an exception instead.
    pub(crate) fn decode(
        mut self,
        mut chunks: impl Iterator<Item = Bytes>,
        mut each: impl FnMut(RecordBatch),
    ) -> Result<(), SourceError> {
        let decoded = chunks.try_for_each(|chunk| self.push(&chunk, &mut each));
        let error = match decoded {
            Ok(()) if self.inflate.is_whole() && self.native.finish().is_ok() => return Ok(()),
            Ok(()) => SourceError::Truncated,
            Err(error) => {
                let mut more = EXCEPTION_BYTES;
                for chunk in chunks {
                    let mut packed = &chunk[..];
                    while let Ok(Some(bytes)) = self.inflate.next(&mut packed) {
                        self.tail.push(&bytes);
                        more = more.saturating_sub(bytes.len());
                    }
                    if more == 0 {
                        break;
                    }
                }
                error
            }
        };
        Err(self.tail.exception().map_or(error, SourceError::Engine))
    }

    fn push(
        &mut self,
        chunk: &[u8],
        each: &mut impl FnMut(RecordBatch),
    ) -> Result<(), SourceError> {
        let mut packed = chunk;
        while let Some(bytes) = self.inflate.next(&mut packed)? {
            self.tail.push(&bytes);
            self.native.push(bytes);
            while let Some(block) = self.native.next_block().map_err(SourceError::Native)? {
                each(canonical::batch(&block.batch, &self.schema)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
