//! The public keys of the issuer (RFC 7517), fetched from its URL and kept.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Client;
use tokio::sync::Mutex;
use tracing::{info, warn};
use url::Url;

use crate::auth::AuthError;

/// A public key and the one algorithm that it is for.
pub(super) struct VerificationKey {
    kid: Option<String>,
    pub(super) decoding_key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

/// The keys of an issuer.
///
/// They are fetched when first needed, when they are old, and when a token names a key that is
/// not among them, but never more often than every `refetch`. When fetching fails, the keys that
/// are there stay in use.
pub(super) struct Jwks {
    client: Client,
    url: Url,
    cache: Duration,
    refetch: Duration,
    fetched: RwLock<Option<Fetched>>,
    /// When the last fetch began; held while fetching, so that there is one at a time.
    attempted: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Fetched {
    keys: Arc<[Arc<VerificationKey>]>,
    at: Instant,
}

impl Jwks {
    pub(super) fn new(
        url: Url,
        cache: Duration,
        refetch: Duration,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: Client::builder().timeout(timeout).build()?,
            url,
            cache,
            refetch,
            fetched: RwLock::new(None),
            attempted: Mutex::new(None),
        })
    }

    /// Finds the key that a token names; a token that names none fits an only key.
    pub(super) async fn key(&self, kid: Option<&str>) -> Result<Arc<VerificationKey>, AuthError> {
        if let Some(fetched) = self.fetched()
            && let Some(key) = fetched.find(kid)
        {
            if fetched.at.elapsed() < self.cache {
                return Ok(key);
            }
            // Old keys are good enough while another request fetches.
            let Ok(attempted) = self.attempted.try_lock() else {
                return Ok(key);
            };
            self.fetch(attempted).await;
        } else {
            self.fetch(self.attempted.lock().await).await;
        }
        let fetched = self.fetched().ok_or(AuthError::NoKeys)?;
        fetched.find(kid).ok_or(AuthError::UnknownKey)
    }

    fn fetched(&self) -> Option<Fetched> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        fetched.clone()
    }

    async fn fetch(&self, mut attempted: tokio::sync::MutexGuard<'_, Option<Instant>>) {
        if attempted.is_some_and(|at| at.elapsed() < self.refetch) {
            return;
        }
        *attempted = Some(Instant::now());
        match self.get().await {
            Ok(set) => {
                let keys: Arc<[_]> = set.keys.iter().filter_map(usable).map(Arc::new).collect();
                info!(keys = keys.len(), "fetched the keys of the issuer");
                let fetched = Fetched {
                    keys,
                    at: Instant::now(),
                };
                *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
            }
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "could not fetch the keys of the issuer"
            ),
        }
    }

    async fn get(&self) -> Result<JwkSet, reqwest::Error> {
        let response = self.client.get(self.url.clone()).send().await?;
        response.error_for_status()?.json().await
    }
}

impl Fetched {
    fn find(&self, kid: Option<&str>) -> Option<Arc<VerificationKey>> {
        match (kid, &*self.keys) {
            (Some(kid), keys) => {
                let named = |key: &&Arc<VerificationKey>| key.kid.as_deref() == Some(kid);
                keys.iter().find(named).cloned()
            }
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
        }
    }
}

/// Takes the keys that verify RS256, ES256 or `EdDSA`; a set may hold others too.
fn usable(jwk: &Jwk) -> Option<VerificationKey> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    let common = &jwk.common;
    let for_signatures = !matches!(
        common.public_key_use,
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))
    );
    let same_algorithm = common
        .key_algorithm
        .is_none_or(|stated| stated == KeyAlgorithm::from(algorithm));
    if !for_signatures || !same_algorithm {
        return None;
    }
    Some(VerificationKey {
        kid: common.key_id.clone(),
        decoding_key: DecodingKey::from_jwk(jwk).ok()?,
        algorithm,
    })
}
