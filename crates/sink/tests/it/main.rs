//! The sink against a real S3 server.

mod faults;
mod links;
mod listing;
mod multipart;
mod objects;
mod part_uploads;
mod proxy;
mod support;
