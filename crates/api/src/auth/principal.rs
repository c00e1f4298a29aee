//! The caller of a request, as an extractor for each thing that a caller may do.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::{Narrowing, OrganizationId, UserId};
use store::jobs::Scope;
use tokio::time::Instant;

use crate::app::App;
use crate::auth::permission::Permissions;
use crate::auth::{AuthError, Permission};

/// A user who acts for an organization, proved by a token, which is looked at once a request.
///
/// A handler takes it through the extractor of the permission that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user: UserId,
    /// The organization.
    pub organization: OrganizationId,
    /// Which of its rows the user may see.
    pub narrowed_to: Narrowing,
    /// When the token ends, and with it whatever still answers the request.
    pub expires: Instant,
    pub(super) permissions: Permissions,
}

impl Principal {
    /// Asserts that the caller may do something.
    ///
    /// # Errors
    ///
    /// [`AuthError::Forbidden`].
    pub fn require(self, permission: Permission) -> Result<Self, AuthError> {
        if self.permissions.allow(permission) {
            Ok(self)
        } else {
            Err(AuthError::Forbidden(permission))
        }
    }

    /// Returns the jobs that the caller has requested.
    pub fn own(&self) -> Scope {
        Scope {
            organization: self.organization,
            narrowed_to: self.narrowed_to.clone(),
            user: Some(self.user),
        }
    }

    /// Returns the jobs that the caller may reach: an admin those of the whole organization.
    pub fn reach(&self) -> Scope {
        if self.permissions.allow(Permission::Admin) {
            Scope {
                user: None,
                ..self.own()
            }
        } else {
            self.own()
        }
    }
}

impl FromRequestParts<App> for Principal {
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AuthError> {
        if let Some(principal) = parts.extensions.get() {
            return Ok(Self::clone(principal));
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
        parts.extensions.insert(principal.clone());
        Ok(principal)
    }
}

macro_rules! extractors {
    ($($(#[$doc:meta])* $name:ident may $permission:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(pub Principal);

        impl FromRequestParts<App> for $name {
            type Rejection = AuthError;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AuthError> {
                let principal = Principal::from_request_parts(parts, app).await?;
                principal.require(Permission::$permission).map(Self)
            }
        }
    )*};
}

extractors! {
    /// A caller who may request exports, and withdraw them.
    Creator may Create;
    /// A caller who may see exports and download their files.
    Reader may Read;
    /// A caller who may see with what the webhooks of the organization are signed.
    WebhookOwner may Webhooks;
    /// A caller who may see what everybody of the organization has done.
    Admin may Admin;
}
