//! Rows as a Parquet row group that can stand anywhere in a file.

use std::io;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use domain::{ParquetCompression, ParquetOptions};
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Encoding, LogicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion,
};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

use crate::column_chunks::ColumnChunks;
use crate::error::EncodeError;
use crate::levels::ZstdLevel;
use crate::page_codec::{self, PageCodec};
use crate::parquet_file::ParquetFile;
use crate::rows::Rows;
use crate::tail::Entry;
use crate::text_column::TextColumn;
use crate::text_map::TextMap;

/// The software that wrote the file, in the form that the format asks for.
const CREATED_BY: &str = concat!("export-worker version ", env!("CARGO_PKG_VERSION"));

/// A value that does not fit the stored type is an error, not NULL.
const EXACT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: FormatOptions::new(),
};

/// Writes rows as row groups.
pub(crate) struct RowGroupEncoder {
    /// The columns as they are stored, see [`stored`].
    arrow_schema: SchemaRef,
    schema: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    compression: ParquetCompression,
    zstd: ZstdLevel,
    columns: ArrowRowGroupWriterFactory,
}

/// A row group: its column chunks one after the other, and what the footer says about it. All
/// offsets count from the first byte of the row group.
pub(crate) struct RowGroup {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entry: Entry,
}

impl RowGroupEncoder {
    pub(crate) fn new(
        options: &ParquetOptions,
        schema: &Schema,
        metadata: Vec<(String, String)>,
        zstd: ZstdLevel,
    ) -> Result<Self, EncodeError> {
        let fields: Vec<_> = schema.fields().iter().map(stored).collect();
        let arrow_schema = Arc::new(Schema::new(fields));
        // The names inside of lists and maps are those of the format's specification.
        let converter = ArrowSchemaConverter::new().with_coerce_types(true);
        let schema = Arc::new(converter.convert(&arrow_schema)?);
        let mut properties = properties(options, &schema, metadata, zstd)?;
        // With it, readers that know Arrow get back dictionaries and unsigned types as they were.
        add_encoded_arrow_schema_to_metadata(&arrow_schema, &mut properties);
        let properties = Arc::new(properties);
        let file = SerializedFileWriter::new(
            io::sink(),
            schema.root_schema_ptr(),
            Arc::clone(&properties),
        )?;
        let columns = ArrowRowGroupWriterFactory::new(&file, arrow_schema.clone());
        Ok(Self {
            arrow_schema,
            schema,
            properties,
            compression: options.compression,
            zstd,
            columns,
        })
    }

    pub(crate) fn encode(&self, rows: Rows<'_>) -> Result<RowGroup, EncodeError> {
        let mut closed = None;
        let mut bytes = TrackedWrite::new(Vec::new());
        let row_group = SerializedRowGroupWriter::new(
            Arc::clone(&self.schema),
            Arc::clone(&self.properties),
            &mut bytes,
            0,
            Some(Box::new(
                |_, metadata, _, column_indexes, offset_indexes| {
                    closed = Some(Entry {
                        metadata,
                        column_indexes,
                        offset_indexes,
                    });
                    Ok(())
                },
            )),
        );
        let mut chunks = ColumnChunks::new(
            &self.schema,
            &self.properties,
            self.columns.create_column_writers(0)?,
            PageCodec::new(self.compression, self.zstd)?,
            row_group,
        );
        for (index, field) in self.arrow_schema.fields().iter().enumerate() {
            if let Some(mut texts) = TextColumn::new(rows, index) {
                chunks.append_texts(|chunk| texts.write(chunk))?;
            } else if let Some(mut map) = TextMap::new(rows, index, field.is_nullable()) {
                chunks.append_texts(|chunk| map.write_keys(chunk))?;
                chunks.append_texts(|chunk| map.write_values(chunk))?;
            } else {
                let array = column(rows, index, field.data_type()).map_err(ParquetError::from)?;
                chunks.append(field, &array)?;
            }
        }
        chunks.close()?;
        Ok(RowGroup {
            bytes: bytes.into_inner()?,
            entry: closed.expect("closing a row group calls back with its metadata"),
        })
    }

    pub(crate) fn file(&self) -> ParquetFile {
        ParquetFile::new(Arc::clone(&self.schema), Arc::clone(&self.properties))
    }
}

/// Returns a column of the rows. In one piece, since where a piece ends a page could end.
fn column(rows: Rows<'_>, index: usize, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let pieces = rows.batches().iter().map(|batch| batch.column(index));
    let pieces: Vec<_> = pieces.map(Arc::clone).collect();
    if rows.are_all() || pieces.windows(2).any(|two| !is_alike(&two[0], &two[1])) {
        let pieces = pieces.iter().map(|piece| as_type(piece, data_type));
        rows.of(&pieces.collect::<Result<Vec<_>, _>>()?)
    } else {
        // There may be many more rows than those that are wanted.
        as_type(&rows.of(&pieces)?, data_type)
    }
}

fn is_alike(one: &ArrayRef, other: &ArrayRef) -> bool {
    one.data_type() == other.data_type()
}

fn as_type(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type {
        Ok(Arc::clone(array))
    } else {
        cast_with_options(array, data_type, &EXACT)
    }
}

/// Returns how a column is stored: seconds as milliseconds, since Parquet has no seconds and readers
/// would see a plain number.
fn stored(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::List(items) => DataType::List(stored(items)),
        DataType::Map(entries, sorted) => DataType::Map(stored(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(stored).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// Statistics, also of each page, and dictionaries are on by default; bloom filters are off. What is
/// in maps, lists and structs has no statistics: no reader skips rows by the least of their texts, and
/// comparing them all takes a twentieth of the worker's time.
///
/// Pages are of version 1, which every reader knows; what version 2 would bring for times, their
/// encoding, is chosen here: rows are in the order of time, so that differences are small.
fn properties(
    options: &ParquetOptions,
    schema: &SchemaDescriptor,
    metadata: Vec<(String, String)>,
    zstd: ZstdLevel,
) -> Result<WriterProperties, ParquetError> {
    let metadata = metadata
        .into_iter()
        .map(|(key, value)| KeyValue::new(key, value));
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(page_codec::compression(options.compression, zstd)?)
        .set_coerce_types(true)
        .set_created_by(CREATED_BY.to_owned())
        .set_key_value_metadata(Some(metadata.collect()));
    let columns = schema.columns().iter();
    let properties = columns.fold(properties, |mut properties, column| {
        let path = column.path();
        if path.parts().len() > 1 {
            properties =
                properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if matches!(column.logical_type_ref(), Some(LogicalType::Timestamp(_))) {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        properties
    });
    Ok(properties.build())
}
