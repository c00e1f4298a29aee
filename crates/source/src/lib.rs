//! ClickHouse: dataset catalogue, SQL builder, planner and streaming decoder.
//!
//! A [`Preset`] says what there may be. A [`LiveCatalogue`] asks the server what there is, and keeps a
//! [`Catalogue`] of it, which resolves a request to a [`Query`].
//! [`ClickHouse`] plans a query, and reads its rows slice by slice as Arrow record batches.

mod answer;
mod blocks;
mod canonical;
mod catalogue;
mod client;
mod column_type;
mod completeness;
mod config;
mod decode;
mod definition;
mod description;
mod error;
mod estimate;
mod exception;
mod expression;
mod fit;
mod inflate;
mod json_map;
mod key_bounds;
mod live;
mod look;
mod metrics;
mod numbers;
mod pace;
mod parameter;
mod plan;
mod predicate;
mod preset;
mod query;
mod read;
mod resolution;
mod seen;
mod server_type;
mod settings;
mod slice;
mod sort;
mod sql;
mod value;

pub use blocks::{Block, BlockLimits, HeldBatches};
pub use catalogue::{Catalogue, Lack};
pub use client::ClickHouse;
pub use config::ClickHouseConfig;
pub use description::{ColumnDescription, DatasetDescription};
pub use error::SourceError;
pub use estimate::{RowCount, Sample};
pub use exception::Exception;
pub use live::LiveCatalogue;
pub use plan::{Plan, PlanOptions};
pub use preset::{DatasetsConfig, OTEL_PRESET, Preset, PresetError, TELEMETRYFLOW_PRESET};
pub use query::Query;
pub use read::{Blocks, ReadLimits, Slice, SliceReader};
