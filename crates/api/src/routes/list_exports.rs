//! `GET /api/v1/export`: the caller's jobs or the organization's, page by page.

mod cursor;
pub(crate) mod query;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::InvalidHeaderValue;
use axum::response::{IntoResponse, Response};
use domain::Violation;
use representation::{JobRepresentation, Links};
use serde::Serialize;
use store::StoreError;
use store::jobs::{Listed, Listing};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{AuthError, Permission, Reader};
use crate::paging;
use crate::problem::Problem;
use crate::readable::readable;
use crate::routes::list_exports::query::PageQuery;

/// Why no jobs are listed.
#[derive(Debug, thiserror::Error)]
pub enum ListExportsError {
    /// The query is wrong.
    #[error("the query is wrong")]
    Invalid(Vec<Violation>),
    /// Only admins may see all that.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address of the next page is no header.
    #[error("the address of the next page is no header")]
    Link(#[from] InvalidHeaderValue),
}

impl IntoResponse for ListExportsError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::Auth(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Link(_) => Problem::internal(self),
        }
        .into_response()
    }
}

/// A page of jobs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Page<'a> {
    exports: Vec<JobRepresentation<'a>>,
    /// The address of the next page; null on the last one.
    next: Option<String>,
}

impl<'a> Page<'a> {
    /// Shows the jobs of a page that can be read; one more behind them tells that there is a next page.
    pub(crate) fn of(listed: &'a [Listed], query: &PageQuery, links: &Links) -> Self {
        let (shown, last) = paging::cut(listed, query.limit);
        let next = last.map(|last| links.list(&query.after(last.position)));
        let jobs = shown.iter().filter_map(|listed| readable(&listed.job));
        let exports = jobs.map(|job| JobRepresentation::new(job, links));
        Self {
            exports: exports.collect(),
            next,
        }
    }
}

/// Answers 200 with the jobs that the user has requested for the organization, newest first; for an
/// admin, with `?scope=organization`, with those that anybody has. Where there are more, `next` and a
/// header `Link` (RFC 8288) say where.
///
/// # Errors
///
/// 422 with everything that is wrong with the query, and 403 when it asks for the organization's jobs
/// without the permission `export:admin`.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "exports", security(("token" = ["export:read"])),
    params(
        ("scope" = Option<String>, Query, description = "own, or organization for admins; own by default.", example = "own"),
        ("status" = Option<String>, Query, description = "The status as it is shown.", example = "COMPLETED"),
        ("data_type" = Option<String>, Query, description = "The dataset.", example = "logs"),
        ("created_from" = Option<DateTime<Utc>>, Query, description = "Requested then or later.", example = "2026-01-01T00:00:00Z"),
        ("created_to" = Option<DateTime<Utc>>, Query, description = "Requested before.", example = "2026-02-01T00:00:00Z"),
        ("limit" = Option<u16>, Query, description = "Exports of a page; 20 by default.", minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "From a link to a next page."),
    ),
    responses((
        status = 200, description = "A page.", body = Page<'static>,
        headers(("Link" = String, description = "With rel=\"next\" the address of the next page (RFC 8288).")),
    )),
)]
pub async fn list_exports(
    State(app): State<App>,
    Reader(principal): Reader,
    RawQuery(query): RawQuery,
) -> Result<Response, ListExportsError> {
    let query = PageQuery::parse(query.as_deref()).map_err(ListExportsError::Invalid)?;
    let listing = Listing {
        scope: if query.whole_organization {
            principal.require(Permission::Admin)?.reach()
        } else {
            principal.own()
        },
        status: query.status,
        data_type: query.data_type.clone(),
        created_from: query.created_from,
        created_to: query.created_to,
        after: query.cursor,
        // One more tells whether there is a next page.
        limit: query.limit + 1,
    };
    let mut connection = store::acquire(&app.pool).await?;
    let listed = store::jobs::list(&mut connection, &listing).await?;
    drop(connection);
    let page = Page::of(&listed, &query, &app.links);
    let headers = paging::headers(page.next.as_deref())?;
    Ok((headers, Json(page)).into_response())
}
