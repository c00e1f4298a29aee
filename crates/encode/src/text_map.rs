//! A column of maps from texts to texts as two column chunks.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, MapArray};
use arrow::datatypes::DataType;
use parquet::errors::ParquetError;

use crate::column::range;
use crate::rows::Rows;
use crate::text_chunk::TextChunk;
use crate::texts::Texts;

/// The maps of some rows.
pub(crate) struct TextMap<'a> {
    rows: Rows<'a>,
    /// For each batch.
    pieces: Vec<Piece<'a>>,
    is_nullable: bool,
}

struct Piece<'a> {
    maps: &'a MapArray,
    keys: Texts<'a>,
    values: Texts<'a>,
}

impl<'a> TextMap<'a> {
    /// Returns nothing for columns of another type.
    pub(crate) fn new(rows: Rows<'a>, column: usize, is_nullable: bool) -> Option<Self> {
        let columns = rows.batches().iter().map(|batch| batch.column(column));
        Some(Self {
            rows,
            pieces: columns.map(Piece::new).collect::<Option<_>>()?,
            is_nullable,
        })
    }

    /// Writes the keys.
    pub(crate) fn write_keys(&mut self, chunk: &mut TextChunk<'_>) -> Result<(), ParquetError> {
        let Self {
            rows,
            pieces,
            is_nullable,
        } = self;
        rows.try_each(|batch, row| {
            let piece = &mut pieces[batch];
            let entries = piece.begin(row, *is_nullable, chunk)?;
            entries.for_each(|entry| piece.keys.add(entry, chunk));
            Ok(())
        })
    }

    /// Writes the values, behind the keys. What a key had last time it often has again.
    pub(crate) fn write_values(&mut self, chunk: &mut TextChunk<'_>) -> Result<(), ParquetError> {
        let Self {
            rows,
            pieces,
            is_nullable,
        } = self;
        let mut last = Vec::new();
        rows.try_each(|batch, row| {
            let piece = &mut pieces[batch];
            for entry in piece.begin(row, *is_nullable, chunk)? {
                let Some(key) = piece.keys.number(entry) else {
                    piece.values.add(entry, chunk);
                    continue;
                };
                if key >= last.len() {
                    last.resize(key + 1, u32::MAX);
                }
                piece.values.add_again(entry, &mut last[key], chunk);
            }
            Ok(())
        })
    }
}

impl<'a> Piece<'a> {
    fn new(column: &'a ArrayRef) -> Option<Self> {
        let DataType::Map(..) = column.data_type() else {
            return None;
        };
        let maps = column.as_map();
        Some(Self {
            maps,
            keys: Texts::new(maps.keys())?,
            values: Texts::new(maps.values())?,
        })
    }

    /// Begins a row of a chunk, and returns where its entries are.
    fn begin(
        &self,
        row: usize,
        is_nullable: bool,
        chunk: &mut TextChunk<'_>,
    ) -> Result<Range<usize>, ParquetError> {
        if self.maps.is_null(row) {
            chunk.row(0, 0)?;
            return Ok(0..0);
        }
        let entries = range(self.maps.offsets(), row);
        chunk.row(entries.len(), is_nullable.into())?;
        Ok(entries)
    }
}
