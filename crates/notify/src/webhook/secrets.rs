//! The secrets of organizations, and what they sign.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::OrganizationId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::config::MasterSecret;

/// What the derivation of a secret begins with, so that it never equals another use of the master.
const PURPOSE: &str = "webhook-secret ";

/// The secret with which the calls for an organization are signed. It is stored nowhere: whoever has
/// the master secret makes it anew.
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    pub(super) fn derive(master: &MasterSecret, organization: OrganizationId) -> Self {
        let organization = organization.as_uuid();
        Self(hmac(
            master.as_bytes(),
            &[PURPOSE.as_bytes(), organization.as_bytes()],
        ))
    }

    /// Returns the secret as receivers are given it, `whsec_…`.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    /// Signs a call that is made at `timestamp`, in seconds since 1970.
    pub(super) fn sign(&self, id: Uuid, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let signature = hmac(&self.0, &[head.as_bytes(), body]);
        format!("v1,{}", STANDARD.encode(signature))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebhookSecret").finish_non_exhaustive()
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use domain::OrganizationId;
    use secrecy::SecretString;
    use uuid::Uuid;

    use super::WebhookSecret;
    use crate::webhook::MasterSecret;

    fn organization(id: u128) -> OrganizationId {
        Uuid::from_u128(id).into()
    }

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        // The vector of the reference implementations, but for the id, which is none of ours.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = super::hmac(
            &key,
            &[
                b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.",
                br#"{"test": 2432232314}"#,
            ],
        );
        assert_eq!(
            STANDARD.encode(signed),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn each_organization_has_a_secret_of_its_own() {
        let master = |text: &str| MasterSecret::try_from(SecretString::from(text)).unwrap();
        let old = master("an old secret of this service, long enough");
        let new = master("a new secret of this service, long enough");
        let reveal = |master, id| WebhookSecret::derive(master, organization(id)).reveal();
        assert_eq!(reveal(&old, 1), reveal(&old, 1));
        assert_ne!(reveal(&old, 1), reveal(&old, 2));
        assert_ne!(reveal(&old, 1), reveal(&new, 1));
        let text = reveal(&new, 1);
        let bytes = STANDARD
            .decode(text.strip_prefix("whsec_").unwrap())
            .unwrap();
        assert_eq!(bytes.len(), 32, "24 to 64 are allowed");
    }

    #[test]
    fn a_short_master_is_refused() {
        let short = SecretString::from("a".repeat(31));
        let error = MasterSecret::try_from(short).unwrap_err();
        assert_eq!(error, "must have 32 bytes or more");
    }
}
