//! A key that verifies signatures, and how it is read from a JWK (RFC 7517).

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::token;

/// The sizes of an RSA modulus: no less by RFC 7518, section 3.3, no more by what verifies it.
const RSA_MODULUS_BYTES: RangeInclusive<usize> = 256..=512;

/// The size of a coordinate on either curve, P-256 and Ed25519.
const COORDINATE_BYTES: usize = 32;

/// A key and the one algorithm that it is for.
pub(super) struct VerificationKey {
    pub(super) kid: Option<String>,
    pub(super) decoding_key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

/// The members of a JWK that matter here. Others, such as `x5c`, can be anything.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl VerificationKey {
    /// Takes the secret of HS256.
    pub(super) fn hs256(secret: &[u8]) -> Self {
        Self {
            kid: None,
            decoding_key: DecodingKey::from_secret(secret),
            algorithm: Algorithm::HS256,
        }
    }

    /// Takes a public key of RS256, ES256 or Ed25519; nothing where it is another one, is for
    /// something else, or cannot be read.
    pub(super) fn from_jwk(jwk: &Value) -> Option<Self> {
        let jwk = Jwk::deserialize(jwk).ok()?;
        let (algorithm, decoding_key) = jwk.material()?;
        let is_for_signatures = jwk
            .purpose
            .as_deref()
            .is_none_or(|purpose| purpose == "sig");
        let may_verify = jwk
            .key_ops
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        let is_for_algorithm = jwk
            .alg
            .as_deref()
            .is_none_or(|name| token::algorithm(name) == Some(algorithm));
        // A point that is not on its curve verifies nothing, and is found out by trying.
        let can_verify = crypto::verify("", b"", &decoding_key, algorithm).is_ok();
        (is_for_signatures && may_verify && is_for_algorithm && can_verify).then_some(Self {
            kid: jwk.kid,
            decoding_key,
            algorithm,
        })
    }
}

impl Jwk {
    fn material(&self) -> Option<(Algorithm, DecodingKey)> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (modulus, exponent) = (bytes(self.n.as_ref())?, bytes(self.e.as_ref())?);
                let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
                let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
                RSA_MODULUS_BYTES
                    .contains(&significant)
                    .then_some((Algorithm::RS256, key))
            }
            ("EC", Some("P-256")) => {
                let point = [
                    vec![4],
                    coordinate(self.x.as_ref())?,
                    coordinate(self.y.as_ref())?,
                ]
                .concat();
                Some((Algorithm::ES256, DecodingKey::from_ec_der(&point)))
            }
            ("OKP", Some("Ed25519")) => {
                let key = DecodingKey::from_ed_der(&coordinate(self.x.as_ref())?);
                Some((Algorithm::EdDSA, key))
            }
            _ => None,
        }
    }
}

fn bytes(member: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(member?).ok()
}

fn coordinate(member: Option<&String>) -> Option<Vec<u8>> {
    bytes(member).filter(|bytes| bytes.len() == COORDINATE_BYTES)
}
