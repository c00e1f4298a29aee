//! One file per endpoint, with its error.

use axum::http::HeaderValue;

mod create_export;
mod delete_export;
mod download_export;
mod file;
mod get_export;
mod get_manifest;
mod healthz;
mod job_path;
mod list_exports;
mod readyz;
mod watch_export;

pub use create_export::{CreateExportError, create_export};
pub use delete_export::{DeleteExportError, delete_export};
pub use download_export::{DownloadExportError, download_export};
pub use file::NoFile;
pub use get_export::{GetExportError, get_export};
pub use get_manifest::{GetManifestError, get_manifest};
pub use healthz::healthz;
pub use job_path::JobPath;
pub use list_exports::{ListExportsError, list_exports};
pub use readyz::readyz;
pub use watch_export::{WatchExportError, watch_export};

/// When to ask again for a job that is not done, in seconds.
const POLL_AFTER: HeaderValue = HeaderValue::from_static("2");
