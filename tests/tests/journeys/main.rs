//! What users notice, on the real services with the real binaries.

mod bucket;
mod cancel;
mod docs;
mod estimates;
mod exports;
mod faults;
mod files;
mod filters;
mod formats;
mod mail;
mod parquet_files;
mod reference;
mod requests;
mod retention;
mod tenants;
mod values;
