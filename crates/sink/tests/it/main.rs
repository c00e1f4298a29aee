//! The sink against a real S3 server.

mod faults;
mod links;
mod multipart;
mod objects;
mod proxy;
mod support;
