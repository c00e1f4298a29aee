//! Arrow IPC stream bytes to record batches of the canonical schema, up to the mark of the end.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;

use crate::canonical;
use crate::error::SourceError;

/// Decodes one answer.
pub(crate) struct Decoder {
    decoder: StreamDecoder,
    schema: SchemaRef,
}

impl Decoder {
    /// Makes a decoder of an answer that is expected to have this schema.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self {
            decoder: StreamDecoder::new(),
            schema,
        }
    }

    /// Takes the next bytes and hands on each batch that is complete.
    ///
    /// # Errors
    ///
    /// When the bytes are no Arrow IPC stream, have other columns, or go on behind the end.
    pub(crate) fn push(
        &mut self,
        bytes: Bytes,
        mut each: impl FnMut(RecordBatch) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let mut buffer = Buffer::from(bytes);
        while let Some(batch) = self
            .decoder
            .decode(&mut buffer)
            .map_err(SourceError::Decode)?
        {
            each(canonical::batch(&batch, &self.schema)?)?;
        }
        Ok(())
    }

    /// Checks that the stream is whole: that it has the schema, and that it ended with the mark of
    /// its end, `FFFFFFFF 00000000`.
    ///
    /// # Errors
    ///
    /// [`SourceError::Truncated`] when it was cut; [`SourceError::Schema`] when it has other
    /// columns, which an answer without rows shows only here.
    pub(crate) fn finish(mut self) -> Result<(), SourceError> {
        // The decoder is content with any end of a message. Only behind the mark does it refuse
        // a further byte.
        let between_messages = self.decoder.finish().is_ok();
        let more = self.decoder.decode(&mut Buffer::from(&[0_u8]));
        if !between_messages || more.is_ok() {
            return Err(SourceError::Truncated);
        }
        let received = self.decoder.schema().ok_or(SourceError::Truncated)?;
        canonical::check_names(&received, &self.schema)
    }
}

#[cfg(test)]
mod tests;
