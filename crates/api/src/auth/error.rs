//! Why a caller was not let in.

use axum::http::HeaderValue;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};

use crate::auth::Permission;
use crate::problem::{Problem, ProblemCode};

/// Why a caller was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is no `Authorization: Bearer …`.
    #[error("there is no bearer token")]
    Missing,
    /// The token expired.
    #[error("the token has expired")]
    Expired,
    /// The token is wrong in another way.
    #[error("the token is not valid")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    /// The token is signed, but lacks a claim or has a wrong one.
    #[error("the claim {0:?} is not a UUID")]
    Claim(String),
    /// The token has extensions that must be understood, and are not (RFC 7515, section 4.1.11).
    #[error("the token has critical extensions")]
    Critical,
    /// No key of the issuer has the token's `kid`.
    #[error("no key of the issuer fits the token")]
    UnknownKey,
    /// The caller is known, but may not do this.
    #[error("the token does not have the permission {0}")]
    Forbidden(Permission),
    /// The keys of the issuer have not been fetched yet.
    #[error("the keys of the issuer are not there")]
    NoKeys,
}

impl From<jsonwebtoken::errors::Error> for AuthError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.kind() {
            jsonwebtoken::errors::ErrorKind::ExpiredSignature => Self::Expired,
            _ => Self::Invalid(error),
        }
    }
}

impl From<AuthError> for Problem {
    /// Says which of five things is wrong. What exactly is wrong with a token stays in the log:
    /// it would help nobody but a forger.
    fn from(error: AuthError) -> Self {
        let (code, detail, challenge) = match error {
            AuthError::Missing => (
                ProblemCode::TokenMissing,
                "Send a token as \"Authorization: Bearer …\".",
                "Bearer realm=\"export\"",
            ),
            AuthError::Expired => (
                ProblemCode::TokenExpired,
                "Get a new token and try again.",
                "Bearer realm=\"export\", error=\"invalid_token\", \
                 error_description=\"the token has expired\"",
            ),
            AuthError::Invalid(_)
            | AuthError::Claim(_)
            | AuthError::Critical
            | AuthError::UnknownKey => (
                ProblemCode::TokenInvalid,
                "The token is malformed, not signed by the issuer, or not meant for this service.",
                "Bearer realm=\"export\", error=\"invalid_token\", \
                 error_description=\"the token is not valid\"",
            ),
            AuthError::Forbidden(permission) => (
                ProblemCode::PermissionMissing,
                permission.missing(),
                "Bearer realm=\"export\", error=\"insufficient_scope\", \
                 error_description=\"the token does not have the permission\"",
            ),
            AuthError::NoKeys => return Self::unavailable(error),
        };
        Self::new(code, detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
            .caused_by(error)
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
