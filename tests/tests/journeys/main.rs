//! What users notice, on the real services with the real binaries.

mod crashes;
mod docs;
mod files;
mod filters;
mod formats;
mod mail;
mod reference;
mod requests;
mod source_faults;
mod storage_faults;
mod tenants;
mod wake_ups;
