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
    Invalid(#[from] InvalidToken),
    /// Not exactly one key of the issuer fits the token.
    #[error("no single key of the issuer fits the token")]
    UnknownKey,
    /// The token is valid, but the claim names no organization.
    #[error("the claim {0:?} names no organization")]
    NoOrganization(String),
    /// The caller is known, but may not do this.
    #[error("the token does not have the permission {0}")]
    Forbidden(Permission),
    /// The keys of the issuer could not be fetched, or not for so long that they are not trusted.
    #[error("there are no keys of the issuer that are trusted")]
    NoKeys,
}

/// What is wrong with a token.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// It is no signed JWT in compact form.
    #[error("the token has not three parts")]
    Parts,
    /// A part of it is not in base64url.
    #[error("a part is not in base64url")]
    Encoding(#[from] base64::DecodeError),
    /// The header cannot be read. Why is not kept: it would quote what anybody has sent.
    #[error("the header is no JSON object with an algorithm")]
    Header,
    /// The header has extensions that must be understood, and are not (RFC 7515, section 4.1.11).
    #[error("the header has critical extensions")]
    Critical,
    /// The algorithm is unknown, or not that of the key.
    #[error("the algorithm is not accepted")]
    Algorithm,
    /// The signature cannot be checked.
    #[error("the signature cannot be checked")]
    Unverifiable(#[from] jsonwebtoken::errors::Error),
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The payload cannot be read. Why is not kept: it would quote the claims.
    #[error("the payload is no JSON object")]
    Payload,
    /// A claim is missing or wrong.
    #[error("the claim {0:?} is missing or wrong")]
    Claim(String),
}

impl From<AuthError> for Problem {
    /// Says which of six things is wrong. What exactly is wrong with a token stays in the log:
    /// it would help nobody but a forger.
    fn from(error: AuthError) -> Self {
        let (code, detail, challenge) = match error {
            AuthError::Missing => (
                ProblemCode::TokenMissing,
                "Send a token as \"Authorization: Bearer …\".".to_owned(),
                "Bearer realm=\"export\"",
            ),
            AuthError::Expired => (
                ProblemCode::TokenExpired,
                "Get a new token and try again.".to_owned(),
                "Bearer realm=\"export\", error=\"invalid_token\", \
                 error_description=\"the token has expired\"",
            ),
            AuthError::Invalid(_) | AuthError::UnknownKey => (
                ProblemCode::TokenInvalid,
                "The token is malformed, not signed by the issuer, or not meant for this service."
                    .to_owned(),
                "Bearer realm=\"export\", error=\"invalid_token\", \
                 error_description=\"the token is not valid\"",
            ),
            AuthError::NoOrganization(ref claim) => (
                ProblemCode::OrganizationMissing,
                format!(
                    "Your token names no organization in its claim \"{claim}\". Join an \
                     organization, or ask an administrator to add you to one, then get a new token."
                ),
                "Bearer realm=\"export\", error=\"insufficient_scope\", \
                 error_description=\"the token names no organization\"",
            ),
            AuthError::Forbidden(permission) => (
                ProblemCode::PermissionMissing,
                permission.missing().to_owned(),
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
