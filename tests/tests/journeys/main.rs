//! What users notice, on the real services with the real binaries.

mod bucket;
mod crashes;
mod docs;
mod files;
mod filters;
mod formats;
mod interruptions;
mod leftovers;
mod lost_leases;
mod mail;
mod parquet_files;
mod postgres_faults;
mod reference;
mod requests;
mod source_faults;
mod storage_faults;
mod tenants;
mod values;
mod wake_ups;
