//! What users notice, on the real services with the real binaries.

mod access;
mod bucket;
mod cancel;
mod dashboards;
mod docs;
mod estimates;
mod exports;
mod fairness;
mod faults;
mod files;
mod filters;
mod formats;
mod injections;
mod links;
mod mail;
mod metrics;
mod parquet_files;
mod quotas;
mod reference;
mod requests;
mod retention;
mod schedules;
mod tenants;
mod traces;
mod values;
mod webhooks;
