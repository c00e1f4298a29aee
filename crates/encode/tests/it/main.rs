//! Files as their readers see them.

mod compression;
mod csv;
mod fixtures;
mod json;
mod parquet;
