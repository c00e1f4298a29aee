//! A column of texts as a column chunk.

use parquet::errors::ParquetError;

use crate::rows::Rows;
use crate::text_chunk::TextChunk;
use crate::texts::Texts;

/// The texts of some rows.
pub(crate) struct TextColumn<'a> {
    rows: Rows<'a>,
    /// For each batch.
    pieces: Vec<Texts<'a>>,
}

impl<'a> TextColumn<'a> {
    /// Returns nothing for columns of another type.
    pub(crate) fn new(rows: Rows<'a>, column: usize) -> Option<Self> {
        let columns = rows.batches().iter().map(|batch| batch.column(column));
        let pieces = columns
            .map(|column| Texts::new(column))
            .collect::<Option<_>>()?;
        Some(Self { rows, pieces })
    }

    pub(crate) fn write(&mut self, chunk: &mut TextChunk<'_>) -> Result<(), ParquetError> {
        let Self { rows, pieces } = self;
        rows.try_each(|batch, rows| {
            chunk.begin(rows.len())?;
            pieces[batch].add(rows, chunk);
            Ok(())
        })
    }
}
