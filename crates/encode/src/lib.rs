//! Record batches to bytes: CSV, JSON and Parquet, gzip and zstd. Synchronous, pure, no I/O.
//!
//! An [`Encoder`] turns batches into [`EncodedBlock`]s, each by itself, so that any number of
//! threads can do it. An [`Assembler`] puts the blocks of one file together in their order. The
//! same batches in the same order give the same bytes.
//!
//! A file can be continued by another process: [`Assembler::checkpoint`] and [`Encoder::resume`].
//!
//! How values are written:
//!
//! | value | CSV | JSON | Parquet |
//! |---|---|---|---|
//! | text | as it is, quoted where needed | string | STRING |
//! | integers, decimals | exact digits | exact digits | their own type |
//! | floats | shortest that reads back; `NaN`, `Infinity`, `-Infinity` | the same; `null` | their own type |
//! | timestamps | RFC 3339, nine fraction digits, `Z` | the same, a string | TIMESTAMP, UTC; seconds as milliseconds |
//! | dates | `2026-01-31` | the same, a string | DATE |
//! | bytes | lower-case hexadecimal | the same, a string | bytes |
//! | maps | JSON | object | MAP |
//! | lists, structs | JSON | array, object | LIST, group |
//! | NULL | the NULL text, never quoted | `null` | NULL |

mod assembler;
mod bounds;
mod checkpoint;
mod column;
mod column_chunks;
mod compress;
mod csv;
mod dictionary;
mod encoder;
mod error;
mod hybrid;
mod json;
mod levels;
mod libdeflate;
mod page_codec;
mod parquet_file;
mod plain;
mod row_group;
mod rows;
mod scalar;
mod tail;
mod text;
mod text_chunk;
mod text_column;
mod text_map;
mod texts;
mod time;
mod written;

pub use assembler::Assembler;
pub use checkpoint::CheckpointError;
pub use encoder::{BlockPosition, EncodedBlock, Encoder};
pub use error::EncodeError;
pub use levels::{GzipLevel, LevelError, Levels, ZstdLevel};
