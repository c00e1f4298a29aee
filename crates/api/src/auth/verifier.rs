//! Checks a token: signature, algorithm, times, issuer, audience and claims.

use std::fmt;
use std::time::Duration;

use domain::{OrganizationId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::auth::jwks::Jwks;
use crate::auth::permission::Grants;
use crate::auth::{AuthError, Principal};
use crate::config::AuthConfig;

/// An HMAC key shorter than its hash is weaker than the hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

const MAX_LEEWAY_S: u64 = 300;

/// Why tokens cannot be checked with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    /// Neither or both of the ways to check a signature are configured.
    #[error("set exactly one of hs256_secret and jwks_url")]
    OneMethod,
    /// The secret is too short.
    #[error("hs256_secret must have at least {MIN_SECRET_BYTES} bytes")]
    ShortSecret,
    /// Tokens would live on long after their end.
    #[error("leeway_s must be at most {MAX_LEEWAY_S}")]
    Leeway,
    /// There is nowhere to find the roles.
    #[error("roles need permissions_claim")]
    RolesOfNoClaim,
    /// The client that fetches keys cannot be made.
    #[error("the client for jwks_url cannot be made")]
    Client(#[from] reqwest::Error),
}

/// Tells who is calling by the token.
pub struct Verifier {
    keys: Keys,
    validation: Validation,
    organization_claim: String,
    grants: Grants,
}

/// Where the key and, with it, the algorithm come from; never from the token's header.
enum Keys {
    Hs256(DecodingKey),
    Jwks(Jwks),
}

impl Verifier {
    /// Makes a verifier.
    ///
    /// # Errors
    ///
    /// When not exactly one method is configured, the secret is too short, the leeway too long, or
    /// there are roles, but no claim to find them in.
    pub fn new(config: &AuthConfig) -> Result<Self, AuthSetupError> {
        if config.leeway_s > MAX_LEEWAY_S {
            return Err(AuthSetupError::Leeway);
        }
        let keys = match (&config.hs256_secret, &config.jwks_url) {
            (Some(secret), None) => {
                let secret = secret.expose_secret().as_bytes();
                if secret.len() < MIN_SECRET_BYTES {
                    return Err(AuthSetupError::ShortSecret);
                }
                Keys::Hs256(DecodingKey::from_secret(secret))
            }
            (None, Some(url)) => Keys::Jwks(Jwks::new(
                url.clone(),
                Duration::from_secs(config.jwks_cache_s),
                Duration::from_secs(config.jwks_refetch_s),
                Duration::from_millis(config.jwks_timeout_ms),
            )?),
            (None, None) | (Some(_), Some(_)) => return Err(AuthSetupError::OneMethod),
        };
        Ok(Self {
            keys,
            validation: validation(config),
            organization_claim: config.organization_claim.clone(),
            grants: Grants::new(config)?,
        })
    }

    /// Tells who is calling.
    ///
    /// # Errors
    ///
    /// When the token is not valid, or the keys of its issuer could never be fetched.
    pub async fn verify(&self, token: &str) -> Result<Principal, AuthError> {
        match &self.keys {
            Keys::Hs256(key) => self.check(token, key, Algorithm::HS256),
            Keys::Jwks(jwks) => {
                let kid = decode_header(token)?.kid;
                let key = jwks.key(kid.as_deref()).await?;
                self.check(token, &key.decoding_key, key.algorithm)
            }
        }
    }

    fn check(
        &self,
        token: &str,
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Result<Principal, AuthError> {
        let mut validation = self.validation.clone();
        validation.algorithms = vec![algorithm];
        let token = decode::<Map<String, Value>>(token, key, &validation)?;
        if token.header.crit.is_some() {
            return Err(AuthError::Critical);
        }
        Ok(Principal {
            user: UserId::from(uuid_claim(&token.claims, "sub")?),
            organization: OrganizationId::from(uuid_claim(
                &token.claims,
                &self.organization_claim,
            )?),
            permissions: self.grants.of(&token.claims),
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

fn validation(config: &AuthConfig) -> Validation {
    let mut validation = Validation {
        leeway: config.leeway_s,
        validate_nbf: true,
        ..Validation::default()
    };
    let mut required = vec!["exp", "sub"];
    if let Some(issuer) = &config.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    match &config.audience {
        Some(audience) => {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        None => validation.validate_aud = false,
    }
    validation.set_required_spec_claims(&required);
    validation
}

fn uuid_claim(claims: &Map<String, Value>, name: &str) -> Result<Uuid, AuthError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| AuthError::Claim(name.to_owned()))
}
