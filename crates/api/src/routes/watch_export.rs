//! `GET /api/v1/export/{id}/events`: a job's progress, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use store::StoreError;

use crate::app::App;
use crate::auth::Reader;
use crate::problem::Problem;
use crate::routes::JobPath;
use crate::snapshot::Snapshot;
use crate::watch::{TooManyWatchers, Watcher};

const LAST_EVENT_ID: &str = "last-event-id";

/// Asks nginx to pass events on as they come.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// The time between two signs of life of a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a client whose connection broke off is to come again.
const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub enum WatchExportError {
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
}

impl IntoResponse for WatchExportError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Watchers(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Body(_) => Problem::internal(self),
        }
        .into_response()
    }
}

/// Answers 200 with the job as it is, as an event `progress`, and again whenever it has changed.
/// The last event is `end`: the job has ended. A client that comes again with `Last-Event-ID` is
/// told only what is new, and with 204 that nothing more will come.
///
/// The events stop when the token expires, without an `end`; a client then comes again with a new
/// token.
///
/// # Errors
///
/// 404 when the caller has no such job, and 503 when too many clients wait already.
#[utoipa::path(
    get, path = "/api/v1/export/{id}/events", tag = "exports", security(("token" = ["export:read"])),
    params(
        ("id" = Uuid, Path, description = "The id of the export."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was read."),
    ),
    responses(
        (
            status = 200, content_type = "text/event-stream", body = Value,
            description = "Events `progress` and at last `end`, whose data is an export as JSON.",
        ),
        (status = 204, description = "Nothing more will come."),
    ),
)]
pub async fn watch_export(
    State(app): State<App>,
    Reader(principal): Reader,
    JobPath(id): JobPath,
    headers: HeaderMap,
) -> Result<Response, WatchExportError> {
    let mut connection = store::acquire(&app.pool).await?;
    let job = store::jobs::get(&mut connection, &principal.reach(), id)
        .await?
        .ok_or(WatchExportError::NotFound)?;
    drop(connection);
    let now = Arc::new(Snapshot::of(&job, &app.links)?);
    let is_known = headers
        .get(LAST_EVENT_ID)
        .is_some_and(|last| last.as_bytes() == now.etag.as_str().as_bytes());
    if is_known && now.has_ended() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let watcher = if now.has_ended() {
        None
    } else {
        Some(app.watchers.watch(id)?)
    };
    let events = Events {
        news: (!is_known).then(|| Arc::clone(&now)),
        told: now,
        watcher,
    };
    let events = stream::unfold(events, async |mut events: Events| {
        let event = events.next().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    let events = events.take_until(tokio::time::sleep_until(principal.expires));
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([UNBUFFERED], events).into_response())
}

/// What one client is told.
struct Events {
    /// What is to be told at once.
    news: Option<Arc<Snapshot>>,
    /// What the client knows, or will know then.
    told: Arc<Snapshot>,
    /// Nobody any more once the job has ended.
    watcher: Option<Watcher>,
}

impl Events {
    async fn next(&mut self) -> Option<Event> {
        let snapshot = match self.news.take() {
            Some(news) => news,
            None => self.change().await?,
        };
        let name = if snapshot.has_ended() {
            self.watcher = None;
            "end"
        } else {
            "progress"
        };
        let event = Event::default()
            .event(name)
            .id(snapshot.etag.as_str())
            .retry(RECONNECT_AFTER)
            .data(&snapshot.body);
        self.told = snapshot;
        Some(event)
    }

    async fn change(&mut self) -> Option<Arc<Snapshot>> {
        let watcher = self.watcher.as_mut()?;
        loop {
            let next = watcher.next().await?;
            if next.etag != self.told.etag {
                return Some(next);
            }
        }
    }
}
