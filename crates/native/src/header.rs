//! The columns of a stream: what the first block says of them, and what the others repeat.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use crate::block::{Block, Column};
use crate::column::{self, VERSION};
use crate::error::{ColumnError, NativeError};
use crate::input::Input;
use crate::limits::Limits;
use crate::types::Type;

/// The columns, as far as they are known.
#[derive(Default)]
pub(crate) struct Header {
    columns: Vec<Reader>,
    /// What all blocks share, from the end of the first one on.
    shared: Option<(Arc<[Column]>, SchemaRef)>,
}

struct Reader {
    column: Column,
    field: FieldRef,
    versions: usize,
    values: Box<dyn column::Column>,
}

impl Header {
    /// Checks how many columns a block has.
    pub(crate) fn check_count(&self, columns: usize) -> Result<(), NativeError> {
        match &self.shared {
            Some((known, _)) if known.len() != columns => Err(NativeError::Changed {
                expected: format!("{} columns", known.len()),
                received: format!("{columns} columns"),
            }),
            _ => Ok(()),
        }
    }

    /// Prepares for the values of a column, and returns how many versions come ahead of them.
    pub(crate) fn begin(
        &mut self,
        place: usize,
        name: &[u8],
        type_text: &[u8],
        rows: usize,
        limits: &Limits,
    ) -> Result<usize, NativeError> {
        let name = String::from_utf8_lossy(name);
        let type_text = String::from_utf8_lossy(type_text);
        if let Some(Reader { column, .. }) = self.columns.get(place) {
            if column.name != name || column.type_text != type_text {
                return Err(NativeError::Changed {
                    expected: describe(&column.name, &column.type_text),
                    received: describe(&name, &type_text),
                });
            }
        } else {
            let column = Column {
                name: name.into_owned(),
                type_text: type_text.into_owned(),
            };
            self.columns.push(Reader::new(column, limits)?);
        }
        let reader = &mut self.columns[place];
        reader
            .values
            .begin(rows)
            .map_err(|reason| failed(&reader.column, reason))?;
        Ok(reader.versions)
    }

    /// Checks the version of a serialization.
    pub(crate) fn check_version(&self, place: usize, version: u64) -> Result<(), NativeError> {
        if version == VERSION {
            return Ok(());
        }
        let reason = ColumnError::Version(version);
        Err(failed(&self.columns[place].column, reason))
    }

    /// Reads what there is of the values of a column.
    pub(crate) fn read(
        &mut self,
        place: usize,
        input: &mut Input<'_>,
    ) -> Result<bool, NativeError> {
        let Reader { column, values, .. } = &mut self.columns[place];
        values.read(input).map_err(|reason| failed(column, reason))
    }

    /// Makes the array of a column.
    pub(crate) fn finish(&mut self, place: usize) -> Result<ArrayRef, NativeError> {
        let Reader { column, values, .. } = &mut self.columns[place];
        values.finish(None).map_err(|reason| failed(column, reason))
    }

    /// Makes a block of the arrays of all columns.
    pub(crate) fn block(&mut self, arrays: Vec<ArrayRef>) -> Result<Block, NativeError> {
        let (columns, schema) = self.shared.get_or_insert_with(|| {
            let columns = self.columns.iter();
            let fields: Vec<_> = columns.map(|each| Arc::clone(&each.field)).collect();
            let columns = self.columns.iter().map(|each| each.column.clone());
            (columns.collect(), Arc::new(Schema::new(fields)))
        });
        let batch = RecordBatch::try_new(Arc::clone(schema), arrays);
        Ok(Block {
            columns: Arc::clone(columns),
            batch: batch.map_err(NativeError::Batch)?,
        })
    }
}

impl Reader {
    fn new(column: Column, limits: &Limits) -> Result<Self, NativeError> {
        let parsed = Type::parse(&column.type_text, limits)
            .map_err(|reason| failed(&column, reason.into()))?;
        let field = parsed.field(&column.name);
        Ok(Self {
            versions: parsed.versions(),
            values: column::reader(&parsed, field.data_type()),
            field,
            column,
        })
    }
}

fn failed(column: &Column, reason: ColumnError) -> NativeError {
    NativeError::Column {
        name: shown(&column.name),
        type_text: shown(&column.type_text),
        reason,
    }
}

fn describe(name: &str, type_text: &str) -> String {
    format!("the column {:?} of type {}", shown(name), shown(type_text))
}

/// Cuts what would be too long for a message.
fn shown(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
