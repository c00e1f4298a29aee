//! What can be wrong with a stream.

use arrow::error::ArrowError;

use crate::types::TypeError;

/// Why a stream could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// A column's bytes or type.
    #[error("column {name:?} of type {type_text}")]
    Column {
        /// The name of the column, as far as it is text.
        name: String,
        /// Its type, as ClickHouse writes it.
        type_text: String,
        /// What is wrong with it.
        #[source]
        reason: ColumnError,
    },
    /// A count that is no count: more than ten bytes, or more than 64 bits.
    #[error("the header of a block has a number that is too long")]
    Number,
    /// More of something than [`Limits`](crate::Limits) allows.
    #[error("a block has more {what} than {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A block of rows but no columns.
    #[error("a block has rows but no columns")]
    NoColumns,
    /// A block whose columns are not those of the first.
    #[error("a block has {received} where those before it have {expected}")]
    Changed {
        /// The columns of the blocks so far.
        expected: String,
        /// What this block has instead.
        received: String,
    },
    /// The stream ended inside of a block.
    #[error("the stream ends inside of a block")]
    Truncated,
    /// The decoder was used after it had found an error.
    #[error("the stream was found to be malformed before")]
    Failed,
    /// Arrow refused a record batch.
    #[error("cannot make a record batch")]
    Batch(#[source] ArrowError),
}

/// What is wrong with a column.
#[derive(Debug, thiserror::Error)]
pub enum ColumnError {
    /// The type cannot be decoded.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A length that is no length: more than ten bytes, or more than 64 bits.
    #[error("has a length that is too long")]
    Length,
    /// Arrow counts the bytes of an array of texts, and the elements of one of lists, in 31 bits.
    #[error("has more than 2^31 - 1 {0} in one block, which Arrow cannot count")]
    TooLarge(&'static str),
    /// Ends of lists that do not rise.
    #[error("has lists that end before they start")]
    Offsets,
    /// A version of a serialization other than the one that is known.
    #[error("is serialized in the unknown version {0}")]
    Version(u64),
    /// A `LowCardinality` whose header has other flags than HTTP sends.
    #[error("has a dictionary with the unknown flags {0:#x}")]
    DictionaryFlags(u64),
    /// A `LowCardinality` that has not as many indexes as there are rows.
    #[error("has {received} indexes into a dictionary instead of {expected}")]
    Indexes {
        /// The rows.
        expected: usize,
        /// The indexes.
        received: u64,
    },
    /// A `LowCardinality` with an index that is not in its dictionary.
    #[error("has the index {index} into a dictionary of {length}")]
    Index {
        /// The index.
        index: u64,
        /// The length of the dictionary.
        length: usize,
    },
    /// An enum that has a number which has no name.
    #[error("has the number {0}, which is none of the enum")]
    EnumNumber(i16),
    /// A time that the unit in Arrow cannot count.
    #[error("has a time that does not fit into 64 bits of the unit {0}")]
    Time(&'static str),
    /// Arrow refused an array.
    #[error(transparent)]
    Array(#[from] ArrowError),
}
