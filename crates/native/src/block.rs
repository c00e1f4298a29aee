//! What the decoder returns.

use std::sync::Arc;

use arrow::array::RecordBatch;

/// One block of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The columns as ClickHouse calls them; the same for all blocks of a stream.
    pub columns: Arc<[Column]>,
    /// Their values. The names in the schema are those of the columns.
    pub batch: RecordBatch,
}

/// The header of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name, with U+FFFD for what is not UTF-8.
    pub name: String,
    /// The text of the type, such as `Map(LowCardinality(String), String)`.
    pub type_text: String,
}
