//! The caller of a request, as an extractor.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::{OrganizationId, UserId};

use crate::app::App;
use crate::auth::AuthError;

/// A user who acts for an organization, proved by a token, which is looked at once a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user: UserId,
    /// The organization.
    pub organization: OrganizationId,
}

impl FromRequestParts<App> for Principal {
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AuthError> {
        if let Some(principal) = parts.extensions.get() {
            return Ok(*principal);
        }
        let header = parts.headers.get(AUTHORIZATION).ok_or(AuthError::Missing)?;
        let token = header
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(AuthError::Missing)?;
        let principal = app.verifier.verify(token).await?;
        parts.extensions.insert(principal);
        Ok(principal)
    }
}
