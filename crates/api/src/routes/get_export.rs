//! `GET /api/v1/export/{id}`: a job, at once or when it has changed.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{InvalidHeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use domain::Violation;
use representation::JobRepresentation;
use store::StoreError;
use tokio::time::Instant;

use crate::app::App;
use crate::auth::Reader;
use crate::entity_tag::IfNoneMatch;
use crate::problem::Problem;
use crate::routes::{JobPath, POLL_AFTER};
use crate::snapshot::Snapshot;
use crate::wait;
use crate::watch::TooManyWatchers;

/// Why a job could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum GetExportError {
    /// The query is wrong.
    #[error("the query is wrong")]
    Invalid(Vec<Violation>),
    /// The caller has no such job.
    #[error("there is no such job")]
    NotFound,
    /// Too many clients wait already.
    #[error(transparent)]
    Watchers(#[from] TooManyWatchers),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no JSON for the job.
    #[error("the job cannot be written")]
    Body(#[from] serde_json::Error),
    /// The tag of the job is no header.
    #[error("the tag of the job is no header")]
    Tag(#[from] InvalidHeaderValue),
}

impl IntoResponse for GetExportError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::NotFound => Problem::not_found(),
            Self::Watchers(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Body(_) | Self::Tag(_) => Problem::internal(self),
        }
        .into_response()
    }
}

/// Answers 200 with the job, or 304 when the client has it already; while it is not done,
/// `Retry-After` says when to ask again.
///
/// With `?wait=` in seconds the answer comes when the job is no longer as the client knows it, or,
/// without `If-None-Match`, as it is now, and at the latest after that time, or when the token
/// expires. What will not change any more is not waited for.
///
/// # Errors
///
/// 404 when the caller has no such job, 422 with everything that is wrong with the
/// query, and 503 when too many clients wait already.
#[utoipa::path(
    get, path = "/api/v1/export/{id}", tag = "exports", security(("token" = ["export:read"])),
    params(
        ("id" = Uuid, Path, description = "The id of the export."),
        ("wait" = Option<u8>, Query, description = "How many seconds to wait for a change.", maximum = 60, example = 30),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what is known already."),
    ),
    responses(
        (
            status = 200, description = "The export.", body = JobRepresentation<'static>,
            headers(
                ("ETag" = String, description = "Names this state of the export."),
                ("Retry-After" = u8, description = "When to ask again, in seconds, while it has not ended."),
            ),
        ),
        (status = 304, description = "The export is as it is known."),
    ),
)]
pub async fn get_export(
    State(app): State<App>,
    Reader(principal): Reader,
    JobPath(id): JobPath,
    condition: IfNoneMatch,
    RawQuery(query): RawQuery,
) -> Result<Response, GetExportError> {
    let wait = wait::parse(query.as_deref()).map_err(GetExportError::Invalid)?;
    let mut connection = store::acquire(&app.pool).await?;
    let job = store::jobs::get(&mut connection, &principal.reach(), id)
        .await?
        .ok_or(GetExportError::NotFound)?;
    drop(connection);
    let now = Arc::new(Snapshot::of(&job, &app.links)?);
    let shown = if !wait.is_zero() && is_to_change(&now, &condition) {
        let until = principal.expires.min(Instant::now() + wait);
        change(&app, now, until).await?
    } else {
        now
    };
    Ok(answer(&shown, &condition)?)
}

/// Tells whether the client asks for a state that is still to come.
fn is_to_change(now: &Snapshot, condition: &IfNoneMatch) -> bool {
    if condition.is_absent() {
        !now.has_ended()
    } else {
        condition.has(&now.etag) && !now.is_final()
    }
}

/// Waits until the job is another one than `now`, or until a time or the end of the process.
async fn change(
    app: &App,
    now: Arc<Snapshot>,
    until: Instant,
) -> Result<Arc<Snapshot>, TooManyWatchers> {
    let mut watcher = app.watchers.watch(now.id)?;
    let changed = async {
        loop {
            let next = watcher.next().await?;
            if next.etag != now.etag {
                return Some(next);
            }
        }
    };
    let changed = tokio::time::timeout_at(until, changed).await;
    let changed = changed.ok().flatten();
    Ok(changed.unwrap_or(now))
}

fn answer(shown: &Snapshot, condition: &IfNoneMatch) -> Result<Response, InvalidHeaderValue> {
    let mut response = condition.answer(&shown.etag, &shown.body)?;
    if !shown.has_ended() {
        response.headers_mut().insert(RETRY_AFTER, POLL_AFTER);
    }
    Ok(response)
}
