//! Checks a token: signature, algorithm, times, issuer, audience and claims.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use domain::{Clock, Narrowing, OrganizationId, SystemClock, UserId};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::auth::claims::{Claims, Rules};
use crate::auth::jwks::Jwks;
use crate::auth::key::VerificationKey;
use crate::auth::permission::Grants;
use crate::auth::token::Token;
use crate::auth::{AuthError, InvalidToken, Principal};
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
    /// Keys would be in use, but not trusted.
    #[error("jwks_stale_s must be at least jwks_cache_s")]
    Stale,
    /// There is nowhere to find the roles.
    #[error("roles need permissions_claims")]
    RolesOfNoClaim,
    /// One of the claims would count, and not the other.
    #[error("narrow_by has several claims for one field")]
    NarrowedTwice,
    /// The client that fetches keys cannot be made.
    #[error("the client for jwks_url cannot be made")]
    Client(#[from] reqwest::Error),
}

/// The longest that a token is taken to be valid for.
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 365);

/// Tells who is calling by the token.
pub struct Verifier {
    keys: Keys,
    rules: Rules,
    user_claim: String,
    organization_claim: String,
    /// Which field of the datasets each of these claims narrows.
    narrow_by: HashMap<String, String>,
    grants: Grants,
}

/// Where the key and, with it, the algorithm come from; never from the token's header.
enum Keys {
    Hs256(VerificationKey),
    Jwks(Jwks),
}

impl Verifier {
    /// Makes a verifier.
    ///
    /// # Errors
    ///
    /// When not exactly one method is configured, or a value makes no sense.
    pub fn new(config: &AuthConfig) -> Result<Self, AuthSetupError> {
        if config.leeway_s > MAX_LEEWAY_S {
            return Err(AuthSetupError::Leeway);
        }
        if config.jwks_stale_s < config.jwks_cache_s {
            return Err(AuthSetupError::Stale);
        }
        let fields: HashSet<_> = config.narrow_by.values().collect();
        if fields.len() < config.narrow_by.len() {
            return Err(AuthSetupError::NarrowedTwice);
        }
        let keys = match (&config.hs256_secret, &config.jwks_url) {
            (Some(secret), None) => {
                let secret = secret.expose_secret().as_bytes();
                if secret.len() < MIN_SECRET_BYTES {
                    return Err(AuthSetupError::ShortSecret);
                }
                Keys::Hs256(VerificationKey::hs256(secret))
            }
            (None, Some(url)) => Keys::Jwks(Jwks::new(url.clone(), config)?),
            (None, None) | (Some(_), Some(_)) => return Err(AuthSetupError::OneMethod),
        };
        Ok(Self {
            keys,
            rules: Rules {
                issuer: config.issuer.clone(),
                audience: config.audience.clone(),
                leeway: Duration::from_secs(config.leeway_s),
            },
            user_claim: config.user_claim.clone(),
            organization_claim: config.organization_claim.clone(),
            narrow_by: config.narrow_by.clone(),
            grants: Grants::new(config)?,
        })
    }

    /// Tells who is calling.
    ///
    /// # Errors
    ///
    /// When the token is not valid or names no organization, or there are no keys of its issuer
    /// that are trusted.
    pub async fn verify(&self, token: &str) -> Result<Principal, AuthError> {
        let token = Token::parse(token)?;
        let claims = match &self.keys {
            Keys::Hs256(key) => token.verify(key)?,
            Keys::Jwks(jwks) => token.verify(&*jwks.key(&token).await?)?,
        };
        let left = self.rules.check(&claims, SystemClock.now())?;
        Ok(Principal {
            user: UserId::from(uuid(&claims, &self.user_claim)?),
            organization: self.organization(&claims)?,
            narrowed_to: self.narrowing(&claims)?,
            expires: Instant::now() + left.min(MAX_LIFETIME),
            permissions: self.grants.of(&claims),
        })
    }

    /// Finds the organization. Users without one have tokens, too: the claim is missing then, or
    /// has no value.
    fn organization(&self, claims: &Claims) -> Result<OrganizationId, AuthError> {
        let value = claims.find(&self.organization_claim);
        if value.is_none_or(|value| value.is_null() || value == "") {
            return Err(AuthError::NoOrganization(self.organization_claim.clone()));
        }
        Ok(uuid(claims, &self.organization_claim)?.into())
    }

    /// Finds which rows the user may see. What is not understood must not widen that.
    fn narrowing(&self, claims: &Claims) -> Result<Narrowing, InvalidToken> {
        let claims = self.narrow_by.iter().filter_map(|(claim, field)| {
            let value = match claims.find(claim).unwrap_or(&Value::Null) {
                Value::Null if claims.obstructs(claim) => Err(InvalidToken::Claim(claim.clone())),
                Value::Null => return None,
                Value::String(text) if !text.contains('\0') => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                _ => Err(InvalidToken::Claim(claim.clone())),
            };
            Some(value.map(|value| (field.clone(), value)))
        });
        claims.collect()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

fn uuid(claims: &Claims, name: &str) -> Result<Uuid, InvalidToken> {
    claims
        .find(name)
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| InvalidToken::Claim(name.to_owned()))
}
