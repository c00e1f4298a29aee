//! `GET /api/v1/export/{id}/download`: the file of a job.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::{InvalidHeaderValue, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::{Clock, SystemClock, Violation};
use serde::Serialize;
use sink::SinkError;
use store::StoreError;
use store::events::{self, EventKind};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Reader;
use crate::client::Client;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::routes::JobPath;
use crate::routes::file::{NoFile, file, number, presign};

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum DownloadExportError {
    /// The query is wrong.
    #[error("the query is wrong")]
    Invalid(Vec<Violation>),
    /// The caller has no such job.
    #[error("there is no such job")]
    NotFound,
    /// The job has no file.
    #[error(transparent)]
    NoFile(#[from] NoFile),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No link could be signed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The link is no header.
    #[error("the link is no header")]
    Link(#[from] InvalidHeaderValue),
}

impl IntoResponse for DownloadExportError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::NotFound => Problem::not_found(),
            Self::NoFile(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Sink(error) => error.into(),
            Self::Link(_) => Problem::internal(self),
        };
        problem.into_response()
    }
}

/// Where a file can be had for a while, for clients that do not want to be redirected.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Download<'a> {
    /// Whoever has it has the file.
    pub(crate) url: String,
    /// When the URL ends.
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: &'a str,
}

/// Answers 302 to a fresh presigned URL, or with `?redirect=false` 200 with the URL in the body,
/// and writes into the audit trail that it did. Asked with HEAD, it writes nothing, and the URL is for
/// HEAD, too.
///
/// # Errors
///
/// 404 when the caller has no such job or that no such file, 409 when it has no file, or several of which
/// the query names none, 410 when the file has expired or was deleted, and 422 with everything that is wrong with the query.
#[utoipa::path(
    get, path = "/api/v1/export/{id}/download", tag = "files", security(("token" = ["export:read"])),
    params(
        ("id" = Uuid, Path, description = "The id of the export."),
        ("file" = Option<u32>, Query, description = "The number of the file, where there are several.", minimum = 1, example = 1),
        ("redirect" = Option<bool>, Query, description = "Whether to answer with a redirect, which is the default.", example = false),
    ),
    responses(
        (
            status = 302, description = "A redirect to the file.",
            headers(("Location" = String, description = "A URL that works for five minutes.")),
        ),
        (status = 200, description = "The same without a redirect.", body = Download<'static>),
    ),
)]
pub async fn download_export(
    State(app): State<App>,
    Reader(principal): Reader,
    client: Client,
    method: Method,
    JobPath(id): JobPath,
    RawQuery(query): RawQuery,
) -> Result<Response, DownloadExportError> {
    let (redirect, number) = parse(query.as_deref()).map_err(DownloadExportError::Invalid)?;
    let mut connection = store::acquire(&app.pool).await?;
    let job = store::jobs::get(&mut connection, &principal.reach(), id)
        .await?
        .ok_or(DownloadExportError::NotFound)?;
    let (file, kind) = file(&mut connection, &job, number).await?;
    let now = SystemClock.now();
    let link = presign(&app.sink, &method, &file, &kind).await?;
    if method != Method::HEAD {
        let actor = client.acting_for(principal.user);
        events::append_of_file(
            &mut connection,
            id,
            EventKind::Downloaded,
            Some(&actor),
            number,
        )
        .await?;
    }
    if redirect {
        let location = HeaderValue::try_from(link.url)?;
        return Ok((StatusCode::FOUND, [(LOCATION, location)]).into_response());
    }
    Ok(Json(Download {
        url: link.url,
        expires_at: now + link.expires_in,
        name: kind.file_name,
        size_bytes: file.size_bytes,
        sha256: &file.sha256,
    })
    .into_response())
}

/// Reads whether the client wants to be redirected, which is the default, and to which file.
fn parse(query: Option<&str>) -> Result<(bool, Option<u32>), Vec<Violation>> {
    let mut parameters = Parameters::of(query);
    let number = parameters.optional("file", number);
    let redirect = parameters.optional("redirect", |text| {
        text.parse().map_err(|_| "must be true or false")
    });
    parameters.finish()?;
    Ok((redirect.unwrap_or(true), number))
}
