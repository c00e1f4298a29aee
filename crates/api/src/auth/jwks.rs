//! The public keys of the issuer, fetched from its URL and kept.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::sync::{Mutex, MutexGuard};
use tracing::{info, warn};
use url::Url;

use crate::auth::AuthError;
use crate::auth::key::VerificationKey;
use crate::auth::key_set::{KeySet, KeySetError};
use crate::auth::token::Token;
use crate::config::AuthConfig;

/// The largest set of keys that is read.
const MAX_SET_BYTES: usize = 1024 * 1024;

/// The keys of an issuer.
///
/// They are fetched when first needed, when they are old, and when no key fits a token, but never
/// more often than every `refetch`. When fetching fails, or brings no usable key, the keys that are
/// there stay in use until they are `stale`.
pub(super) struct Jwks {
    client: Client,
    url: Url,
    cache: Duration,
    stale: Duration,
    refetch: Duration,
    fetched: RwLock<Option<Arc<Fetched>>>,
    /// When the last fetch began; held while fetching, so that there is one at a time.
    attempted: Mutex<Option<Instant>>,
}

struct Fetched {
    keys: KeySet,
    at: Instant,
}

/// Why the keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the issuer did not answer as it should")]
    Http(#[from] reqwest::Error),
    #[error("the answer has more than {MAX_SET_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

impl Jwks {
    /// Prepares to fetch the keys from `url`.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub(super) fn new(url: Url, config: &AuthConfig) -> Result<Self, reqwest::Error> {
        let timeout = Duration::from_millis(config.jwks_timeout_ms);
        Ok(Self {
            client: Client::builder().timeout(timeout).build()?,
            url,
            cache: Duration::from_secs(config.jwks_cache_s),
            stale: Duration::from_secs(config.jwks_stale_s),
            refetch: Duration::from_secs(config.jwks_refetch_s),
            fetched: RwLock::new(None),
            attempted: Mutex::new(None),
        })
    }

    /// Finds the key that fits a token.
    ///
    /// # Errors
    ///
    /// When no single key fits, or there are no keys that are still trusted.
    pub(super) async fn key(&self, token: &Token<'_>) -> Result<Arc<VerificationKey>, AuthError> {
        let known = self.trusted().and_then(|fetched| {
            let key = fetched.keys.find(token)?;
            Some((key, fetched.at))
        });
        if let Some((key, at)) = known {
            if at.elapsed() < self.cache {
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
        let fetched = self.trusted().ok_or(AuthError::NoKeys)?;
        fetched.keys.find(token).ok_or(AuthError::UnknownKey)
    }

    /// Returns the keys unless they are stale.
    fn trusted(&self) -> Option<Arc<Fetched>> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        let trusted = fetched
            .as_ref()
            .filter(|keys| keys.at.elapsed() < self.stale);
        trusted.map(Arc::clone)
    }

    async fn fetch(&self, mut attempted: MutexGuard<'_, Option<Instant>>) {
        if attempted.is_some_and(|at| at.elapsed() < self.refetch) {
            return;
        }
        *attempted = Some(Instant::now());
        match self.get().await {
            Ok((keys, unusable)) => {
                info!(keys = keys.len(), unusable, "fetched the issuer's keys");
                let fetched = Arc::new(Fetched {
                    keys,
                    at: Instant::now(),
                });
                *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
            }
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "fetching the issuer's keys failed"
            ),
        }
    }

    async fn get(&self) -> Result<(KeySet, usize), FetchError> {
        let response = self.client.get(self.url.clone()).send().await?;
        let mut response = response.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_SET_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(KeySet::parse(&body)?)
    }
}
