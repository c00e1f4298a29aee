//! Row groups to a Parquet file, with the footer and the page index at its end.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::PageIndexBuilder;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter,
    RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::SchemaDescPtr;

use crate::error::EncodeError;
use crate::row_group::RowGroup;

/// What a Parquet file begins and ends with.
const MAGIC: &[u8] = b"PAR1";

/// Puts the row groups of a file together.
pub(crate) struct ParquetFile {
    schema: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    tail: Tail,
}

/// What must be known about the bytes that are out to end the file. It grows with the number of
/// row groups only.
#[derive(Default)]
struct Tail {
    /// How many bytes are out.
    position: usize,
    row_groups: Vec<RowGroupMetaData>,
    /// For each row group, for each column.
    column_indexes: Vec<Vec<Option<ColumnIndexMetaData>>>,
    /// For each row group, for each column.
    offset_indexes: Vec<Vec<Option<OffsetIndexMetaData>>>,
}

impl ParquetFile {
    pub(crate) fn new(schema: SchemaDescPtr, properties: WriterPropertiesPtr) -> Self {
        Self {
            schema,
            properties,
            tail: Tail::default(),
        }
    }

    pub(crate) fn push(&mut self, row_group: RowGroup) -> Result<Bytes, EncodeError> {
        let mut bytes = self.opening();
        self.tail.add(
            row_group.metadata,
            row_group.column_indexes,
            row_group.offset_indexes,
            row_group.bytes.len(),
        )?;
        if bytes.is_empty() {
            return Ok(row_group.bytes.into());
        }
        bytes.extend_from_slice(&row_group.bytes);
        Ok(bytes.into())
    }

    pub(crate) fn finish(mut self) -> Result<Bytes, EncodeError> {
        let mut bytes = self.opening();
        let metadata = self.properties.key_value_metadata().cloned();
        let rows = self.tail.row_groups.iter().map(RowGroupMetaData::num_rows);
        let file = FileMetaData::new(
            self.properties.writer_version().as_num(),
            rows.sum(),
            Some(self.properties.created_by().to_owned()),
            metadata,
            self.schema,
            None,
        );
        self.tail.write(file, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Returns what has to be written before anything else.
    fn opening(&mut self) -> Vec<u8> {
        if self.tail.position > 0 {
            return Vec::new();
        }
        self.tail.position = MAGIC.len();
        MAGIC.to_vec()
    }
}

impl Tail {
    /// Notes a row group of `length` bytes that goes to the current position.
    fn add(
        &mut self,
        metadata: RowGroupMetaData,
        column_indexes: Vec<Option<ColumnIndexMetaData>>,
        mut offset_indexes: Vec<Option<OffsetIndexMetaData>>,
        length: usize,
    ) -> Result<(), ParquetError> {
        let start = i64::try_from(self.position)?;
        let ordinal = i32::try_from(self.row_groups.len())?;
        let mut row_group = metadata.into_builder();
        let columns = row_group
            .take_columns()
            .into_iter()
            .map(|column| moved(column, start))
            .collect::<Result<_, _>>()?;
        let row_group = row_group
            .set_column_metadata(columns)
            .set_ordinal(ordinal)
            .set_file_offset(start)
            .build()?;
        for offset_index in offset_indexes.iter_mut().flatten() {
            for page in &mut offset_index.page_locations {
                page.offset += start;
            }
        }
        self.row_groups.push(row_group);
        self.column_indexes.push(column_indexes);
        self.offset_indexes.push(offset_indexes);
        self.position += length;
        Ok(())
    }

    /// Writes the page index and the footer.
    fn write(self, file: FileMetaData, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        let columns = file.schema_descr().num_columns();
        let mut page_index = PageIndexBuilder::new(self.row_groups.len(), columns);
        for (row_group, indexes) in self.column_indexes.into_iter().enumerate() {
            for (column, index) in indexes.into_iter().enumerate() {
                if let Some(index) = index {
                    page_index.put_column_index(index, row_group, column);
                }
            }
        }
        for (row_group, indexes) in self.offset_indexes.into_iter().enumerate() {
            for (column, index) in indexes.into_iter().enumerate() {
                if let Some(index) = index {
                    page_index.put_offset_index(index, row_group, column);
                }
            }
        }
        let metadata = ParquetMetaDataBuilder::new(file)
            .set_row_groups(self.row_groups)
            .set_page_index(Some(Arc::new(page_index.build())))
            .build();
        ParquetMetaDataWriter::new_with_tracked(tracked_from(self.position, out)?, &metadata)
            .finish()
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

/// Makes a writer into `out` that believes to be at `position` of the file.
///
/// [`TrackedWrite`] learns its position only by being written to, so it is given that many bytes,
/// which go nowhere: they are passed on in large slices that nobody looks at.
fn tracked_from(position: usize, out: &mut Vec<u8>) -> io::Result<TrackedWrite<After<'_>>> {
    let filler = vec![0; position.min(1 << 20)];
    let mut tracked = TrackedWrite::new(After {
        skip: position,
        out,
    });
    while tracked.bytes_written() < position {
        let left = position - tracked.bytes_written();
        tracked.write_all(&filler[..left.min(filler.len())])?;
    }
    Ok(tracked)
}

/// Keeps what comes after the first `skip` bytes.
struct After<'a> {
    skip: usize,
    out: &'a mut Vec<u8>,
}

impl Write for After<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.out.extend_from_slice(&bytes[skipped..]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
