//! What users notice when several things go wrong at once, and values at the edge of their types.

#[path = "../journeys/files.rs"]
mod files;
#[path = "../journeys/reference.rs"]
mod reference;

mod bucket;
mod interruptions;
mod leftovers;
mod lost_leases;
mod parquet_files;
mod postgres_faults;
mod values;
