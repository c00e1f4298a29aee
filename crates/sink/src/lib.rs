//! S3: multipart upload, presigning and clean-up.

mod client;
mod config;
mod disposition;
mod error;
mod listing;
mod metrics;
mod multipart;
mod object;
mod part_buffer;
mod part_uploads;
mod presign;

pub use client::Sink;
pub use config::S3Config;
pub use error::SinkError;
pub use listing::{
    ObjectCursor, ObjectPage, PendingUpload, StoredObject, UploadCursor, UploadPage,
};
pub use multipart::{UploadId, UploadedPart};
pub use object::ObjectKind;
pub use part_buffer::{Part, PartBuffer};
pub use part_uploads::PartUploads;
pub use presign::{LinkMethod, PresignedUrl};
