//! `GET /api/v1/export/{id}/audit`: what happened to a job, page by page.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::InvalidHeaderValue;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::{JobId, UserId, Violation};
use representation::Links;
use serde::Serialize;
use store::StoreError;
use store::events::{self, Event};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Admin;
use crate::openapi::vocabulary;
use crate::paging;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::routes::JobPath;

/// Why there is no audit trail.
#[derive(Debug, thiserror::Error)]
pub enum GetAuditError {
    /// The query is wrong.
    #[error("the query is wrong")]
    Invalid(Vec<Violation>),
    /// The caller has no such job.
    #[error("there is no such job")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address of the next page is no header.
    #[error("the address of the next page is no header")]
    Link(#[from] InvalidHeaderValue),
}

impl IntoResponse for GetAuditError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::NotFound => Problem::not_found(),
            Self::Store(error) => error.into(),
            Self::Link(_) => Problem::internal(self),
        }
        .into_response()
    }
}

/// A page of an audit trail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    events: Vec<AuditEvent>,
    /// The address of the next page; null on the last one.
    next: Option<String>,
}

/// An entry of an audit trail. Every member is always there.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct AuditEvent {
    /// What happened.
    #[schema(schema_with = vocabulary::event_kind)]
    kind: &'static str,
    at: DateTime<Utc>,
    /// Who did it; null for the service itself, and for whoever followed a link.
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    /// The address that the request came from.
    #[schema(value_type = Option<String>)]
    ip: Option<IpAddr>,
    /// What the client called itself.
    user_agent: Option<String>,
    /// The number of the file that somebody was sent to, where an export has several.
    #[schema(minimum = 1)]
    file: Option<u32>,
}

impl From<&Event> for AuditEvent {
    fn from(event: &Event) -> Self {
        let actor = event.actor.as_ref();
        Self {
            kind: event.kind.as_str(),
            at: event.at,
            user_id: actor.and_then(|actor| actor.user),
            ip: actor.and_then(|actor| actor.ip),
            user_agent: actor.and_then(|actor| actor.user_agent.clone()),
            file: event.file,
        }
    }
}

impl AuditPage {
    /// Shows the entries of a page; one more behind them tells that there is a next one.
    pub(crate) fn of(job: JobId, events: &[Event], limit: u16, links: &Links) -> Self {
        let (shown, last) = paging::cut(events, limit);
        let next = last.map(|last| {
            let query = format!("limit={limit}&cursor={}", last.id);
            links.audit(job, &query)
        });
        Self {
            events: shown.iter().map(AuditEvent::from).collect(),
            next,
        }
    }
}

/// Answers 200 with what happened to a job, oldest first. Where there is more, `next` and a header
/// `Link` (RFC 8288) say where.
///
/// # Errors
///
/// 404 when the caller's organization has no such job, and 422 with everything that is wrong with the
/// query.
#[utoipa::path(
    get, path = "/api/v1/export/{id}/audit", tag = "exports", security(("token" = ["export:admin"])),
    params(
        ("id" = Uuid, Path, description = "The id of the export."),
        ("limit" = Option<u16>, Query, description = "Entries of a page; 20 by default.", minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "From a link to a next page."),
    ),
    responses((
        status = 200, description = "A page.", body = AuditPage,
        headers(("Link" = String, description = "With rel=\"next\" the address of the next page (RFC 8288).")),
    )),
)]
pub async fn get_audit(
    State(app): State<App>,
    Admin(principal): Admin,
    JobPath(id): JobPath,
    RawQuery(query): RawQuery,
) -> Result<Response, GetAuditError> {
    let (limit, after) = page(query.as_deref()).map_err(GetAuditError::Invalid)?;
    let mut connection = store::acquire(&app.pool).await?;
    let job = store::jobs::get(&mut connection, &principal.reach(), id)
        .await?
        .ok_or(GetAuditError::NotFound)?;
    // One more tells whether there is a next page.
    let events = events::list(&mut connection, job.id, after, limit + 1).await?;
    drop(connection);
    let page = AuditPage::of(id, &events, limit, &app.links);
    let headers = paging::headers(page.next.as_deref())?;
    Ok((headers, Json(page)).into_response())
}

/// Reads how many entries to list, and behind which one.
fn page(query: Option<&str>) -> Result<(u16, Option<i64>), Vec<Violation>> {
    let mut parameters = Parameters::of(query);
    let limit = paging::limit(&mut parameters);
    let after = parameters.optional("cursor", |text| text.parse().map_err(|_| paging::NO_CURSOR));
    parameters.finish().map(|()| (limit, after))
}
