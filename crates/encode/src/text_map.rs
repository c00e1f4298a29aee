//! A column of maps from texts to texts as two column chunks.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, MapArray};
use arrow::datatypes::DataType;
use parquet::errors::ParquetError;

use crate::column::range;
use crate::rows::Rows;
use crate::text_chunk::TextChunk;
use crate::texts::{Indexes, Last, Texts};

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
    /// For each text of the dictionary that the keys are in, its last value.
    last: Vec<Option<Last<'a>>>,
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
        self.write(chunk, |piece, entries, chunk| {
            piece.keys.add(entries, chunk);
        })
    }

    /// Writes the values.
    pub(crate) fn write_values(&mut self, chunk: &mut TextChunk<'_>) -> Result<(), ParquetError> {
        self.write(chunk, |piece, entries, chunk| match piece.keys.indexes() {
            Some(keys) => piece
                .values
                .add_values(entries, keys, &mut piece.last, chunk),
            None => piece.values.add(entries, chunk),
        })
    }

    fn write(
        &mut self,
        chunk: &mut TextChunk<'_>,
        mut add: impl FnMut(&mut Piece<'_>, Range<usize>, &mut TextChunk<'_>),
    ) -> Result<(), ParquetError> {
        // The level of a map without entries, which is there where it could be NULL.
        let empty = self.is_nullable.into();
        self.rows.try_each(|batch, rows| {
            chunk.begin(rows.len())?;
            let piece = &mut self.pieces[batch];
            for row in rows {
                if piece.maps.is_null(row) {
                    chunk.list(0, 0);
                    continue;
                }
                let entries = range(piece.maps.offsets(), row);
                chunk.list(entries.len(), empty);
                add(piece, entries, chunk);
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
        let keys = Texts::new(maps.keys())?;
        Some(Self {
            maps,
            values: Texts::new(maps.values())?,
            last: vec![None; keys.indexes().map_or(0, Indexes::distinct)],
            keys,
        })
    }
}
