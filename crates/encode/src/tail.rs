//! What must be known of the row groups that are out to end a Parquet file.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::PageIndexBuilder;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataBuilder,
    ParquetMetaDataOptions, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::SchemaDescPtr;

use crate::checkpoint::CheckpointError;

/// A row group as the footer and the page index tell of it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) metadata: RowGroupMetaData,
    /// For each column.
    pub(crate) column_indexes: Vec<Option<ColumnIndexMetaData>>,
    /// For each column.
    pub(crate) offset_indexes: Vec<Option<OffsetIndexMetaData>>,
}

impl Entry {
    /// Moves a row group whose offsets count from its own first byte to its place in the file.
    pub(crate) fn place(mut self, ordinal: usize, start: usize) -> Result<Self, ParquetError> {
        let start = i64::try_from(start)?;
        let mut row_group = self.metadata.into_builder();
        let columns = row_group
            .take_columns()
            .into_iter()
            .map(|column| moved(column, start))
            .collect::<Result<_, _>>()?;
        self.metadata = row_group
            .set_column_metadata(columns)
            .set_ordinal(i32::try_from(ordinal)?)
            .set_file_offset(start)
            .build()?;
        for offset_index in self.offset_indexes.iter_mut().flatten() {
            for page in &mut offset_index.page_locations {
                page.offset += start;
            }
        }
        Ok(self)
    }
}

fn moved(column: ColumnChunkMetaData, by: i64) -> Result<ColumnChunkMetaData, ParquetError> {
    let data = column.data_page_offset() + by;
    let dictionary = column.dictionary_page_offset().map(|offset| offset + by);
    column
        .into_builder()
        .set_data_page_offset(data)
        .set_dictionary_page_offset(dictionary)
        .build()
}

/// Writes the page index and the footer.
pub(crate) fn write<W: Write>(
    row_groups: Vec<Entry>,
    file: FileMetaData,
    out: TrackedWrite<W>,
) -> Result<(), ParquetError> {
    let columns = file.schema_descr().num_columns();
    let mut page_index = PageIndexBuilder::new(row_groups.len(), columns);
    let mut metadata = Vec::with_capacity(row_groups.len());
    for (number, row_group) in row_groups.into_iter().enumerate() {
        metadata.push(row_group.metadata);
        for (column, index) in row_group.column_indexes.into_iter().enumerate() {
            if let Some(index) = index {
                page_index.put_column_index(index, number, column);
            }
        }
        for (column, index) in row_group.offset_indexes.into_iter().enumerate() {
            if let Some(index) = index {
                page_index.put_offset_index(index, number, column);
            }
        }
    }
    let metadata = ParquetMetaDataBuilder::new(file)
        .set_row_groups(metadata)
        .set_page_index(Some(Arc::new(page_index.build())))
        .build();
    ParquetMetaDataWriter::new_with_tracked(out, &metadata).finish()
}

/// Reads back what [`write`] wrote to the beginning of `bytes`, so that writing it again gives the
/// same bytes.
pub(crate) fn read(bytes: &Bytes, schema: &SchemaDescPtr) -> Result<Vec<Entry>, CheckpointError> {
    let footer = ParquetMetaDataReader::new().parse_and_finish(bytes)?;
    if footer.file_metadata().schema() != schema.root_schema() {
        return Err(CheckpointError::Foreign);
    }
    let options = ParquetMetaDataOptions::new()
        // The row groups of all checkpoints share one.
        .with_schema(Arc::clone(schema))
        .with_encoding_stats_as_mask(false);
    let metadata = ParquetMetaDataReader::new()
        .with_metadata_options(Some(options))
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(bytes)?;
    let row_groups = 0..metadata.num_row_groups();
    Ok(row_groups
        .map(|number| entry(&metadata, number))
        .collect::<Result<_, _>>()?)
}

fn entry(metadata: &ParquetMetaData, number: usize) -> Result<Entry, ParquetError> {
    let indexes = metadata.page_index_for_row_group(number);
    let mut row_group = metadata.row_group(number).clone().into_builder();
    let columns = row_group.take_columns();
    let numbers = 0..columns.len();
    let columns = columns.into_iter().map(compatible);
    Ok(Entry {
        metadata: row_group
            .set_column_metadata(columns.collect::<Result<_, _>>()?)
            .build()?,
        column_indexes: numbers
            .clone()
            .map(|column| indexes.column_index(column).cloned())
            .collect(),
        offset_indexes: numbers
            .map(|column| indexes.offset_index(column).cloned())
            .collect(),
    })
}

/// Notes again that the minimum and maximum are also written where older readers look for them:
/// for signed values, as the writer of columns has it. Reading forgets it.
fn compatible(column: ColumnChunkMetaData) -> Result<ColumnChunkMetaData, ParquetError> {
    let Some(statistics) = column.statistics().cloned() else {
        return Ok(column);
    };
    let signed = column.column_descr().sort_order().is_signed();
    let statistics = match statistics {
        Statistics::Boolean(values) => values.with_backwards_compatible_min_max(signed).into(),
        Statistics::Int32(values) => values.with_backwards_compatible_min_max(signed).into(),
        Statistics::Int64(values) => values.with_backwards_compatible_min_max(signed).into(),
        Statistics::Int96(values) => values.with_backwards_compatible_min_max(signed).into(),
        Statistics::Float(values) => values.with_backwards_compatible_min_max(signed).into(),
        Statistics::Double(values) => values.with_backwards_compatible_min_max(signed).into(),
        Statistics::ByteArray(values) => values.with_backwards_compatible_min_max(signed).into(),
        Statistics::FixedLenByteArray(values) => {
            Statistics::FixedLenByteArray(values.with_backwards_compatible_min_max(signed))
        }
    };
    column.into_builder().set_statistics(statistics).build()
}
