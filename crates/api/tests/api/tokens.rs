//! Tokens as an issuer makes them, right and wrong.

use domain::{Clock, SystemClock};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

/// The secret that the service and the issuer share.
pub(crate) const SECRET: &str = "a secret of the tests that is long enough";

/// Returns the claims of a good token of a member that lives for a minute.
pub(crate) fn claims(user: Uuid, organization: Uuid) -> Value {
    json!({
        "iss": "telemetryflow", "aud": "export-api",
        "sub": user, "organizationId": organization,
        "scope": "export:create export:read",
        "exp": now() + 60,
    })
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock.now().timestamp()
}

/// Signs with the shared secret.
pub(crate) fn hs256(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}
