//! `GET /api/v1/links/{token}`: the file that the link of an e-mail leads to.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, InvalidHeaderValue, LOCATION, REFERRER_POLICY,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sink::SinkError;
use store::StoreError;
use store::events::{self, EventKind};
use store::jobs::links::{self, LinkToken};

use crate::app::App;
use crate::client::Client;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::routes::file::{NoFile, file, number, presign};

/// The page for people whose link leads nowhere.
pub(crate) const DEAD_LINK: &str = include_str!("../../assets/dead_link.html");

/// The page loads nothing from anywhere.
const INLINE_STYLE: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Why a link leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum FollowLinkError {
    /// There is no such link, or its file is gone. Which of the two is not told.
    #[error("there is no such link")]
    Dead,
    /// The link does not say which of several files it leads to.
    #[error("there are several files")]
    Several(NoFile),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No link to the storage could be signed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The link to the storage is no header.
    #[error("the link is no header")]
    Link(#[from] InvalidHeaderValue),
}

impl From<NoFile> for FollowLinkError {
    fn from(error: NoFile) -> Self {
        match error {
            NoFile::Several(_) => Self::Several(error),
            NoFile::Store(error) => Self::Store(error),
            _ => Self::Dead,
        }
    }
}

impl IntoResponse for FollowLinkError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Dead => return dead(),
            Self::Several(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Sink(error) => error.into(),
            Self::Link(_) => Problem::internal(self),
        };
        problem.into_response()
    }
}

/// Answers 302 to a fresh presigned URL, and writes into the audit trail that it did. Asked with HEAD,
/// it writes nothing, and the URL is for HEAD, too.
///
/// # Errors
///
/// 404, a page that is always the same and costs the same, when the link is unknown or revoked, or its file
/// is gone; 409 when there are several files and the link does not say which.
#[utoipa::path(
    get, path = "/api/v1/links/{token}", tag = "files",
    params(
        ("token" = String, Path, description = "From the link of an e-mail."),
        ("file" = Option<u32>, Query, description = "The number of the file, where there are several.", minimum = 1, example = 1),
    ),
    responses(
        (
            status = 302, description = "A redirect to the file.",
            headers(("Location" = String, description = "A URL that works for five minutes.")),
        ),
        (
            status = 404, content_type = "text/html", body = String,
            description = "The link is unknown or revoked, or its file is gone; for people.",
        ),
    ),
)]
pub async fn follow_link(
    State(app): State<App>,
    client: Client,
    method: Method,
    RawQuery(query): RawQuery,
    token: Result<Path<String>, PathRejection>,
) -> Result<Response, FollowLinkError> {
    // What is not even a text is looked for like any other token.
    let token = LinkToken::given(token.map(|Path(token)| token).unwrap_or_default());
    let mut connection = store::acquire(&app.pool).await?;
    let job = links::find(&mut connection, &token)
        .await?
        .ok_or(FollowLinkError::Dead)?;
    // Mail programs add parameters of their own, which mean nothing.
    let number = Parameters::of(query.as_deref()).optional("file", number);
    let (file, kind) = file(&mut connection, &job, number).await?;
    let link = presign(&app.sink, &method, &file, &kind).await?;
    if method != Method::HEAD {
        let actor = client.acting_for_nobody();
        events::append_of_file(
            &mut connection,
            job.id,
            EventKind::LinkFollowed,
            Some(&actor),
            number,
        )
        .await?;
    }
    let headers = [
        (LOCATION, HeaderValue::try_from(link.url)?),
        (REFERRER_POLICY, NO_REFERRER),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// Keeps the token from whoever is linked to.
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

fn dead() -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(INLINE_STYLE),
        ),
        (REFERRER_POLICY, NO_REFERRER),
    ];
    (StatusCode::NOT_FOUND, headers, DEAD_LINK).into_response()
}
