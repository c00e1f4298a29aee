//! One file per endpoint, with its error.

use axum::http::HeaderValue;

pub(crate) mod create_export;
pub(crate) mod delete_export;
mod docs;
pub(crate) mod download_export;
pub(crate) mod estimate_export;
mod file;
pub(crate) mod follow_link;
pub(crate) mod get_audit;
pub(crate) mod get_export;
pub(crate) mod get_manifest;
pub(crate) mod get_webhook_secret;
pub(crate) mod healthz;
mod job_path;
pub(crate) mod list_datasets;
pub(crate) mod list_exports;
pub(crate) mod readyz;
pub(crate) mod revoke_links;
pub(crate) mod schedules;
mod validate;
pub(crate) mod watch_export;

pub use create_export::{CreateExportError, create_export};
pub use delete_export::delete_export;
pub use docs::{docs, docs_script, docs_style, openapi_json};
pub use download_export::{DownloadExportError, download_export};
pub use estimate_export::{EstimateExportError, estimate_export};
pub use file::NoFile;
pub use follow_link::{FollowLinkError, follow_link};
pub use get_audit::{GetAuditError, get_audit};
pub use get_export::{GetExportError, get_export};
pub use get_manifest::{GetManifestError, get_manifest};
pub use get_webhook_secret::{GetWebhookSecretError, get_webhook_secret};
pub use healthz::healthz;
pub use job_path::{JobError, JobPath};
pub use list_datasets::{ListDatasetsError, list_datasets};
pub use list_exports::{ListExportsError, list_exports};
pub use readyz::readyz;
pub use revoke_links::revoke_links;
pub use schedules::{
    CreateScheduleError, ListSchedulesError, ScheduleError, SchedulePath, create_schedule,
    delete_schedule, get_schedule, list_schedules,
};
pub use watch_export::{WatchExportError, watch_export};

/// When to ask again for a job that is not done, in seconds.
const POLL_AFTER: HeaderValue = HeaderValue::from_static("2");
