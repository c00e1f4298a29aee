//! How much a stream may ask for.

/// What a block may have at most. Whatever is in it, only what its bytes have filled is
/// allocated; these limits bound the bytes, and what the header alone costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// Bytes of the stream.
    pub block_bytes: usize,
    /// Bytes of the name of a column.
    pub name_bytes: usize,
    /// Bytes of the text of a type.
    pub type_bytes: usize,
    /// How deep a type may be nested: `Array(Nullable(UInt8))` has a depth of 3.
    pub type_depth: usize,
    /// How many types one may be made of, as it is written: `Map(String, UInt8)` is made of 3.
    pub type_parts: usize,
}

impl Default for Limits {
    /// Returns limits that no sensible query reaches.
    fn default() -> Self {
        Self {
            columns: 10_000,
            rows: 1 << 30,
            block_bytes: 4 << 30,
            name_bytes: 64 << 10,
            type_bytes: 1 << 20,
            type_depth: 64,
            type_parts: 10_000,
        }
    }
}
