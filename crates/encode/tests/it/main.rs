//! Files as their readers see them.

mod compression;
mod csv;
mod export;
mod fixtures;
mod forms;
mod json;
mod parquet;
mod parquet_texts;
mod refused;
mod resume;
mod size;
