//! Who is calling: bearer tokens (RFC 6750) that are signed JWTs (RFC 7519).

mod claims;
mod error;
mod jwks;
mod key;
mod key_set;
mod permission;
mod principal;
mod token;
mod verifier;

pub use error::{AuthError, InvalidToken};
pub use permission::Permission;
pub use principal::{Admin, Creator, Principal, Reader, WebhookOwner};
pub use verifier::{AuthSetupError, Verifier};
