//! `GET /api/v1/export/{id}/manifest`: what the files of a job are, to be kept beside them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::{
    Compression, DataType, ExportJob, ExportRequest, ExportedFile, ExportedFiles, FileColumn,
    FileContents, Format, JobId, Narrowing, OrganizationId, Split,
};
use representation::Links;
use serde::Serialize;
use serde_json::Value;
use store::StoreError;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Reader;
use crate::openapi::vocabulary;
use crate::problem::Problem;
use crate::routes::JobPath;
use crate::routes::file::{NoFile, files, request};

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum GetManifestError {
    /// The caller has no such job.
    #[error("there is no such job")]
    NotFound,
    /// The job has no file.
    #[error(transparent)]
    NoFile(#[from] NoFile),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for GetManifestError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::NoFile(error) => error.into(),
            Self::Store(error) => error.into(),
        }
        .into_response()
    }
}

/// What files are and what they were made from. Every member is always there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Manifest<'a> {
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[schema(value_type = Uuid)]
    organization_id: OrganizationId,
    /// The fields and values to which the token of the request narrowed the rows; empty for all rows of the
    /// organization.
    #[schema(value_type = HashMap<String, String>)]
    narrowed_to: &'a Narrowing,
    /// The key of the object, in the bucket of the service; null where there are several files, as are its
    /// name and its checksum.
    object: Option<&'a str>,
    name: Option<String>,
    /// Of all files.
    size_bytes: u64,
    /// In all files.
    rows: u64,
    sha256: Option<&'a str>,
    /// In the order of the rows.
    files: Vec<ManifestFile<'a>>,
    #[schema(value_type = String)]
    data_type: &'a DataType,
    #[schema(schema_with = vocabulary::format)]
    format: Format,
    #[schema(schema_with = vocabulary::compression)]
    compression: Compression,
    /// Included.
    start_time: DateTime<Utc>,
    /// Not included.
    end_time: DateTime<Utc>,
    /// As they were posted; null for every row of the window.
    #[schema(value_type = Option<Object>)]
    filters: Option<&'a Value>,
    /// In the order of the file; null where its worker did not say.
    columns: Option<Vec<ManifestColumn<'a>>>,
    /// With the defaults filled in.
    #[schema(value_type = Object)]
    options: Value,
    requested_at: DateTime<Utc>,
    /// The version of the worker that wrote the file; null where it did not say.
    service_version: Option<&'a str>,
}

/// A file.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ManifestFile<'a> {
    /// From 1.
    number: u32,
    /// The key of the object.
    object: &'a str,
    name: String,
    size_bytes: u64,
    rows: u64,
    sha256: &'a str,
    download_url: String,
}

/// A column of the file, as `GET /api/v1/export/datasets` describes it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ManifestColumn<'a> {
    name: &'a str,
    r#type: &'a str,
    nullable: bool,
}

impl<'a> From<&'a FileColumn> for ManifestColumn<'a> {
    fn from(column: &'a FileColumn) -> Self {
        Self {
            name: &column.name,
            r#type: &column.value_type,
            nullable: column.nullable,
        }
    }
}

impl<'a> Manifest<'a> {
    pub(crate) fn new(
        job: &'a ExportJob,
        request: &'a ExportRequest,
        files: &'a [ExportedFile],
        contents: Option<&'a FileContents>,
        links: &Links,
    ) -> Self {
        let only = files.first().filter(|_| files.len() == 1);
        let files = (1..).zip(files).map(|(number, file)| ManifestFile {
            number,
            object: &file.object_key,
            name: request.file_name(number),
            size_bytes: file.size_bytes,
            rows: file.rows,
            sha256: &file.sha256,
            download_url: links.download_of(job.id, number),
        });
        let files: Vec<_> = files.collect();
        Self {
            job_id: job.id,
            organization_id: job.organization,
            narrowed_to: &job.narrowed_to,
            object: only.map(|file| file.object_key.as_str()),
            name: only.map(|_| request.file_name(1)),
            size_bytes: files.iter().map(|file| file.size_bytes).sum(),
            rows: files.iter().map(|file| file.rows).sum(),
            sha256: only.map(|file| file.sha256.as_str()),
            files,
            data_type: &request.data_type,
            format: request.output.format(),
            compression: request.output.compression(),
            start_time: request.range.start(),
            end_time: request.range.end(),
            filters: request.filters.as_ref().map(domain::Filters::as_posted),
            columns: contents.map(|contents| contents.columns.iter().map(Into::into).collect()),
            options: request.file_options_json(),
            requested_at: job.created_at,
            service_version: contents.map(|contents| contents.service_version.as_str()),
        }
    }
}

/// Answers 200 with the manifest of files that can be downloaded.
///
/// # Errors
///
/// 404 when the caller has no such job, 409 when it has no file, and 410 when the
/// file has expired or was deleted.
#[utoipa::path(
    get, path = "/api/v1/export/{id}/manifest", tag = "files", security(("token" = ["export:read"])),
    params(("id" = Uuid, Path, description = "The id of the export.")),
    responses((status = 200, description = "The manifest.", body = Manifest<'static>)),
)]
pub async fn get_manifest(
    State(app): State<App>,
    Reader(principal): Reader,
    JobPath(id): JobPath,
) -> Result<Response, GetManifestError> {
    let mut connection = store::acquire(&app.pool).await?;
    let job = store::jobs::get(&mut connection, &principal.reach(), id)
        .await?
        .ok_or(GetManifestError::NotFound)?;
    let files = match files(&job)? {
        ExportedFiles::One(file) => vec![file.clone()],
        ExportedFiles::Several(_) => {
            store::files::list(&mut connection, id, 1, Split::MAX_FILES).await?
        }
    };
    let contents = store::contents::get(&mut connection, id).await?;
    let manifest = Manifest::new(&job, request(&job)?, &files, contents.as_ref(), &app.links);
    Ok(Json(manifest).into_response())
}
