//! ClickHouse's **Native** format to Arrow record batches.
//!
//! Native is the engine's own columnar format and the cheapest that it can send. A stream is
//! blocks; a block is the number of columns and of rows, and for each column its name, its type
//! and, if there are rows, its values. This crate reads what the HTTP interface sends for
//! `FORMAT Native` as long as `client_protocol_version` is 0, its default: the form without the
//! fields that later revisions of the protocol put into a block.
//!
//! The format is described at <https://clickhouse.com/docs/interfaces/formats/Native>; the
//! serialization of each type is that of `src/DataTypes/Serializations` in ClickHouse
//! (`serializeBinaryBulk…`), and the tests hold it against the engine.
//!
//! | ClickHouse | Arrow | |
//! |---|---|---|
//! | `Int8` … `Int64`, `UInt8` … `UInt64` | the same | |
//! | `Int128`, `Int256`, `UInt128`, `UInt256` | `Utf8` | decimal digits: `UInt128` and the 256 bits fit into no number that Arrow has |
//! | `Float32`, `Float64` | the same | |
//! | `BFloat16` | `Float32` | exactly |
//! | `Bool` | `Boolean` | |
//! | `Decimal(P, S)` | `Decimal128(P, S)`, from P = 39 on `Decimal256(P, S)` | |
//! | `String` | `Binary` | ClickHouse's strings are any bytes |
//! | `FixedString(N)` | `FixedSizeBinary(N)` | with the zeros at its end |
//! | `Date`, `Date32` | `Date32` | |
//! | `DateTime`, `DateTime('Zone')` | `Timestamp(Second, Zone)` | without a zone: `UTC`, since it is an instant |
//! | `DateTime64(P)`, `DateTime64(P, 'Zone')` | `Timestamp(unit, Zone)` | P = 0: seconds, 1 to 3: milli-, 4 to 6: micro-, 7 to 9: nanoseconds |
//! | `Time`, `Time64(P)` | `Utf8` | `[-]HH:MM:SS[.fff]`; Arrow's times end at midnight, these at ±999:59:59 |
//! | `Interval…` | `Int64` | the unit is in the type |
//! | `Enum8`, `Enum16` | `Dictionary(Int32, Utf8)` | the dictionary, all names, is one array for all blocks: an encoder can escape each name once for CSV, and hand Parquet numbers instead of texts |
//! | `UUID`, `IPv4`, `IPv6` | `Utf8` | as ClickHouse shows them |
//! | `Nothing` | `Null` | |
//! | `Nullable(T)` | `T` with nulls | no null buffer where nothing is NULL |
//! | `LowCardinality(T)` | `Dictionary(Int32, T)` | a NULL is a null key; the dictionary is the block's, and may have values that no row has |
//! | `Array(T)` | `List(item: T)` | |
//! | `Map(K, V)` | `Map(entries: Struct(key: K, value: V))` | keys may be there twice, as in ClickHouse |
//! | `Tuple(…)` | `Struct` | members without names are called `1`, `2`, … |
//! | `Nested(…)` | `List(item: Struct)` | as a column of its own; flattened it is arrays |
//! | `Point`, `Ring`, `LineString`, `MultiPoint`, `Polygon`, `MultiLineString`, `MultiPolygon` | as the tuple and arrays that they stand for | |
//! | `SimpleAggregateFunction(f, T)` | `T` | |
//! | `JSON`, `JSON(…)` | `Binary` | JSON as text, as which it comes with `output_format_native_write_json_as_string`; without that setting it is an error |
//! | `Dynamic`, `Variant`, `AggregateFunction`, `QBit`, all else | an error that names the type | ask for them as text: `CAST(x, 'String')` |
//!
//! Input is not trusted: malformed bytes are an error and never a panic, and nothing is allocated
//! for a count before the bytes that it counts have come; see [`Limits`].

mod block;
mod column;
mod decoder;
mod error;
mod header;
mod input;
mod limits;
mod types;

pub use block::{Block, Column};
pub use decoder::Decoder;
pub use error::{ColumnError, NativeError};
pub use limits::Limits;
pub use types::TypeError;
