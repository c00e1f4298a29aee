//! Who is calling: bearer tokens (RFC 6750) that are signed JWTs (RFC 7519).

mod error;
mod jwks;
mod principal;
mod verifier;

pub use error::AuthError;
pub use principal::Principal;
pub use verifier::{AuthSetupError, Verifier};
