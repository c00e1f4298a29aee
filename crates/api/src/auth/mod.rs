//! Who is calling: bearer tokens (RFC 6750) that are signed JWTs (RFC 7519).

mod error;
mod jwks;
mod permission;
mod principal;
mod verifier;

pub use error::AuthError;
pub use permission::Permission;
pub use principal::{Admin, Creator, Principal, Reader, WebhookOwner};
pub use verifier::{AuthSetupError, Verifier};
