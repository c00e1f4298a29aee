//! Record batches to blocks of a file, each by itself.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use domain::Output;

use crate::assembler::{Assembler, File};
use crate::column::Column;
use crate::compress::TextCodec;
use crate::error::EncodeError;
use crate::levels::Levels;
use crate::row_group::{RowGroup, RowGroupEncoder};
use crate::rows::Rows;
use crate::text::{TextBlock, TextEncoder};

/// Encodes the rows of one file. Many threads can share one.
pub struct Encoder {
    schema: SchemaRef,
    format: Format,
}

enum Format {
    Text(TextEncoder),
    Parquet(RowGroupEncoder),
}

/// Where a block stands in its file.
///
/// The first block holds what opens the file, so that a small file is one gzip member. If the first
/// rows come in a later block all the same, the [`Assembler`] opens the file.
///
/// The bytes of the file depend on it. For a resumed file to equal an uninterrupted one, the caller
/// counts: a block is the first if no row stands before it in the whole file, whichever process
/// wrote it. After [`Encoder::resume`] a block is still the first if no row was pushed before the
/// last checkpoint, and then all of them are empty; otherwise CSV and JSON refuse a first block.
/// Parquet does not mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPosition {
    /// Nothing stands before it.
    First,
    /// Another block may stand before it.
    Later,
}

/// The rows of one block as they stand in the file: lines in a gzip member or zstd frame of their
/// own, or a Parquet row group. Nothing at all if there are no rows.
pub struct EncodedBlock {
    pub(crate) rows: u64,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    Empty,
    Text(TextBlock),
    RowGroup(Box<RowGroup>),
}

impl Encoder {
    /// Makes the encoder of a file with the columns of `schema`.
    ///
    /// `metadata` goes into the footer of a Parquet file; CSV and JSON have no place for it. Files of other
    /// `levels` have the same rows; blocks of different levels can be in one file.
    ///
    /// # Errors
    ///
    /// [`EncodeError::UnsupportedType`] for a column that no format can hold, before anything is
    /// written.
    pub fn new(
        output: &Output,
        schema: SchemaRef,
        metadata: Vec<(String, String)>,
        levels: Levels,
    ) -> Result<Self, EncodeError> {
        let codec = |compression| TextCodec {
            compression,
            levels,
        };
        Column::of_batch(&RecordBatch::new_empty(schema.clone()))?;
        let format = match output {
            Output::Csv {
                options,
                compression,
            } => Format::Text(TextEncoder::csv(options, codec(*compression), &schema)),
            Output::Json {
                options,
                compression,
            } => Format::Text(TextEncoder::json(options, codec(*compression), &schema)),
            Output::Parquet { options } => Format::Parquet(RowGroupEncoder::new(
                options,
                &schema,
                metadata,
                levels.zstd,
            )?),
        };
        Ok(Self { schema, format })
    }

    /// Encodes the rows of batches that follow each other. Where one batch ends and the next begins
    /// does not show in the bytes, and neither does whether a text comes in a dictionary.
    ///
    /// # Errors
    ///
    /// If a batch has other columns than the file, or the compressor or Parquet fails.
    pub fn encode(
        &self,
        batches: &[RecordBatch],
        position: BlockPosition,
    ) -> Result<EncodedBlock, EncodeError> {
        self.encode_rows(Rows::all(batches), position)
    }

    /// Encodes some of the rows of batches in any order, each given by its batch and its place in
    /// that. The bytes are those of the same rows in a batch.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode), and if there is no such row.
    pub fn encode_in_order(
        &self,
        batches: &[RecordBatch],
        order: &[(usize, usize)],
        position: BlockPosition,
    ) -> Result<EncodedBlock, EncodeError> {
        let rows = Rows::chosen(batches, order).ok_or(EncodeError::NoSuchRow)?;
        self.encode_rows(rows, position)
    }

    fn encode_rows(
        &self,
        rows: Rows<'_>,
        position: BlockPosition,
    ) -> Result<EncodedBlock, EncodeError> {
        if !rows
            .batches()
            .iter()
            .all(|batch| is_of(batch, &self.schema))
        {
            return Err(EncodeError::SchemaMismatch);
        }
        let count = rows.count();
        let content = match &self.format {
            _ if count == 0 => Content::Empty,
            Format::Text(text) => Content::Text(text.encode(rows, position)?),
            Format::Parquet(row_groups) => Content::RowGroup(Box::new(row_groups.encode(rows)?)),
        };
        Ok(EncodedBlock {
            rows: count as u64,
            content,
        })
    }

    /// Begins the file.
    pub fn assembler(&self) -> Assembler {
        Assembler::new(match &self.format {
            Format::Text(text) => File::Text(text.file()),
            Format::Parquet(row_groups) => File::Parquet(row_groups.file()),
        })
    }

    /// Goes on with a file behind all of its [checkpoints](Assembler::checkpoint), in their order;
    /// without any it begins the file.
    ///
    /// The encoder must be made as the one that began the file was: of the same output, columns and
    /// metadata. The rest of the file is then, byte for byte, what that one would have written; with
    /// other levels, it has the same rows.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Checkpoint`] if a checkpoint is damaged, one before another is missing, or one is
    /// of a file of other columns or another compression, as far as it says so: that of a CSV or JSON
    /// file knows the bytes that open the file.
    pub fn resume(
        &self,
        checkpoints: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Assembler, EncodeError> {
        let mut assembler = self.assembler();
        for checkpoint in checkpoints {
            assembler.restore(checkpoint.as_ref())?;
        }
        Ok(assembler)
    }
}

impl EncodedBlock {
    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// Says whether a batch has the columns of a schema.
fn is_of(batch: &RecordBatch, schema: &Schema) -> bool {
    let (fields, expected) = (batch.schema_ref().fields(), schema.fields());
    fields.len() == expected.len()
        && fields.iter().zip(expected).all(|(field, expected)| {
            field.name() == expected.name()
                && field.is_nullable() == expected.is_nullable()
                && has_values_of(field.data_type(), expected.data_type())
        })
}

/// Says whether two types have the same values, if not in the same form.
fn has_values_of(data_type: &DataType, expected: &DataType) -> bool {
    match (data_type, expected) {
        (DataType::Dictionary(_, values), expected) if values.as_ref() == expected => true,
        (DataType::List(item), DataType::List(expected))
        | (DataType::Map(item, _), DataType::Map(expected, _)) => {
            has_values_of(item.data_type(), expected.data_type())
        }
        (DataType::Struct(members), DataType::Struct(expected)) => {
            members.len() == expected.len()
                && members.iter().zip(expected).all(|(member, expected)| {
                    member.name() == expected.name()
                        && has_values_of(member.data_type(), expected.data_type())
                })
        }
        (data_type, expected) => data_type == expected,
    }
}
