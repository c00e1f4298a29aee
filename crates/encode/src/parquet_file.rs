//! Row groups to a Parquet file, with the footer and the page index at its end.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::metadata::{FileMetaData, KeyValue, RowGroupMetaData};
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::SchemaDescPtr;

use crate::checkpoint::CheckpointError;
use crate::error::EncodeError;
use crate::row_group::RowGroup;
use crate::tail::{self, Entry};

/// What a Parquet file begins and ends with.
const MAGIC: &[u8] = b"PAR1";

/// The most bytes that a number has in the footer: 64 bits, seven to a byte.
const LONGEST_NUMBER: usize = 10;

/// Puts the row groups of a file together.
pub(crate) struct ParquetFile {
    schema: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    /// How many bytes are out.
    position: usize,
    /// What the file ends with. It grows with the number of row groups only.
    row_groups: Vec<Entry>,
    /// How many of the row groups are in checkpoints.
    recorded: usize,
    measured: Measured,
}

/// What some of the row groups, from the first on, have at the end of the file at most.
#[derive(Default)]
struct Measured {
    row_groups: usize,
    bytes: usize,
}

impl ParquetFile {
    pub(crate) fn new(schema: SchemaDescPtr, properties: WriterPropertiesPtr) -> Self {
        Self {
            schema,
            properties,
            position: 0,
            row_groups: Vec::new(),
            recorded: 0,
            measured: Measured::default(),
        }
    }

    pub(crate) fn push(&mut self, row_group: RowGroup) -> Result<Bytes, EncodeError> {
        let RowGroup { bytes, entry } = row_group;
        let mut opening = self.opening();
        let entry = entry.place(self.row_groups.len(), self.position)?;
        // A resumed file has only the metadata to know where it goes on.
        debug_assert_eq!(length(&entry.metadata), Some(bytes.len()));
        self.row_groups.push(entry);
        self.position += bytes.len();
        if opening.is_empty() {
            return Ok(bytes.into());
        }
        opening.extend_from_slice(&bytes);
        Ok(opening.into())
    }

    pub(crate) fn most_bytes_with(&mut self, row_group: &RowGroup) -> Result<usize, EncodeError> {
        for entry in &self.row_groups[self.measured.row_groups..] {
            self.measured.bytes += self.most_bytes_of(entry)?;
        }
        self.measured.row_groups = self.row_groups.len();
        let before = MAGIC.len().saturating_sub(self.position);
        let start = self.position + before;
        let entry = row_group
            .entry
            .clone()
            .place(self.row_groups.len(), start)?;
        let end = self.measured.bytes + self.most_bytes_of(&entry)? + self.bytes_of_end(&[])?;
        Ok(before + row_group.bytes.len() + end)
    }

    /// Returns how many bytes a row group has at most at the end of the file. As if it stood there by itself,
    /// but then the page index is at the beginning, where its offsets are short.
    fn most_bytes_of(&self, entry: &Entry) -> Result<usize, EncodeError> {
        let alone = self.bytes_of_end(std::slice::from_ref(entry))?;
        Ok(alone + entry.metadata.num_columns() * 2 * LONGEST_NUMBER)
    }

    fn bytes_of_end(&self, row_groups: &[Entry]) -> Result<usize, EncodeError> {
        let metadata = self.properties.key_value_metadata().cloned();
        let file = self.metadata(row_groups, metadata.filter(|_| row_groups.is_empty()));
        let mut end = Vec::new();
        tail::write(row_groups.to_vec(), file, TrackedWrite::new(&mut end))?;
        Ok(end.len())
    }

    /// Returns the metadata of the row groups since the last checkpoint, with their page indexes,
    /// as the end of a Parquet file. The offsets of pages are those of the real file, those of the
    /// page index count from the beginning of the checkpoint.
    pub(crate) fn checkpoint(&mut self) -> Result<Vec<u8>, EncodeError> {
        let row_groups = &self.row_groups[self.recorded..];
        let mut record = Vec::new();
        if !row_groups.is_empty() {
            let file = self.metadata(row_groups, None);
            tail::write(row_groups.to_vec(), file, TrackedWrite::new(&mut record))?;
        }
        self.recorded = self.row_groups.len();
        Ok(record)
    }

    pub(crate) fn restore(&mut self, record: &[u8]) -> Result<(), CheckpointError> {
        self.opening();
        for entry in tail::read(&Bytes::copy_from_slice(record), &self.schema)? {
            let start = entry.metadata.file_offset();
            if start != i64::try_from(self.position).ok() {
                return Err(CheckpointError::OutOfOrder);
            }
            self.position = length(&entry.metadata)
                .and_then(|length| self.position.checked_add(length))
                .ok_or(CheckpointError::OutOfOrder)?;
            self.row_groups.push(entry);
        }
        self.recorded = self.row_groups.len();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Bytes, EncodeError> {
        let mut bytes = self.opening();
        let metadata = self.properties.key_value_metadata().cloned();
        let file = self.metadata(&self.row_groups, metadata);
        let out = tracked_from(self.position, &mut bytes)?;
        tail::write(self.row_groups, file, out)?;
        Ok(bytes.into())
    }

    fn metadata(&self, row_groups: &[Entry], metadata: Option<Vec<KeyValue>>) -> FileMetaData {
        let rows = row_groups.iter().map(|entry| entry.metadata.num_rows());
        FileMetaData::new(
            self.properties.writer_version().as_num(),
            rows.sum(),
            Some(self.properties.created_by().to_owned()),
            metadata,
            Arc::clone(&self.schema),
            None,
        )
    }

    /// Returns what has to be written before anything else.
    fn opening(&mut self) -> Vec<u8> {
        if self.position > 0 {
            return Vec::new();
        }
        self.position = MAGIC.len();
        MAGIC.to_vec()
    }
}

/// Returns how many bytes a row group has: its column chunks stand one after the other.
fn length(row_group: &RowGroupMetaData) -> Option<usize> {
    usize::try_from(row_group.compressed_size()).ok()
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
