//! ClickHouse: dataset catalogue, SQL builder, planner and streaming decoder.
//!
//! A [`Catalogue`] knows what can be exported, and resolves a request to a [`Query`].
//! [`ClickHouse`] plans a query, and reads its rows slice by slice as Arrow record batches.

mod answer;
mod blocks;
mod canonical;
mod catalogue;
mod client;
mod column_type;
mod config;
mod decode;
mod definition;
mod description;
mod error;
mod estimate;
mod exception;
mod inflate;
mod metrics;
mod pace;
mod plan;
mod predicate;
mod preset;
mod query;
mod read;
mod settings;
mod sort;
mod sql;
mod value;

pub use blocks::{Block, BlockLimits, HeldBatches};
pub use catalogue::{Catalogue, CatalogueError, OTEL_PRESET, TELEMETRYFLOW_PRESET};
pub use client::ClickHouse;
pub use config::ClickHouseConfig;
pub use description::{ColumnDescription, DatasetDescription};
pub use error::SourceError;
pub use estimate::{RowCount, Sample};
pub use exception::Exception;
pub use plan::{Plan, PlanOptions};
pub use preset::DatasetsConfig;
pub use query::Query;
pub use read::{Blocks, ReadLimits, Slice, SliceReader};
