//! The column chunks of a row group, one after the other: texts by our own writer, the rest by the
//! `parquet` crate's.

use std::iter::Zip;
use std::slice::Iter;
use std::vec::IntoIter;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use crate::page_codec::PageCodec;
use crate::text_chunk::TextChunk;

/// Appends column chunks to a row group, in the order of the schema.
pub(crate) struct ColumnChunks<'a> {
    properties: &'a WriterProperties,
    /// Each with the writer of the crate for it.
    leaves: Zip<Iter<'a, ColumnDescPtr>, IntoIter<ArrowColumnWriter>>,
    codec: PageCodec,
    row_group: SerializedRowGroupWriter<'a, Vec<u8>>,
}

impl<'a> ColumnChunks<'a> {
    pub(crate) fn new(
        schema: &'a SchemaDescriptor,
        properties: &'a WriterProperties,
        writers: Vec<ArrowColumnWriter>,
        codec: PageCodec,
        row_group: SerializedRowGroupWriter<'a, Vec<u8>>,
    ) -> Self {
        Self {
            properties,
            leaves: schema.columns().iter().zip(writers),
            codec,
            row_group,
        }
    }

    /// Appends the chunk of a leaf that holds texts.
    pub(crate) fn append_texts(
        &mut self,
        write: impl FnOnce(&mut TextChunk<'_>) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let leaf = self.leaves.next();
        let (leaf, _) = leaf.expect("the schema has a leaf for each column of texts");
        let mut chunk = TextChunk::new(leaf.clone(), self.properties, &mut self.codec);
        write(&mut chunk)?;
        let (bytes, close) = chunk.finish()?;
        self.row_group.append_column(&bytes, close)
    }

    /// Appends the chunks of all leaves of a column.
    pub(crate) fn append(&mut self, field: &Field, column: &ArrayRef) -> Result<(), ParquetError> {
        for (values, (_, mut writer)) in compute_leaves(field, column)?.iter().zip(&mut self.leaves)
        {
            writer.write(values)?;
            writer.close()?.append_to_row_group(&mut self.row_group)?;
        }
        Ok(())
    }

    /// Ends the row group.
    pub(crate) fn close(self) -> Result<(), ParquetError> {
        self.row_group.close()?;
        Ok(())
    }
}
