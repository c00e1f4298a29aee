//! The `[notify]` section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// How webhooks are signed, and where they may go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// What the secrets of organizations are made from, the newest first. Without any, there are no
    /// webhooks.
    pub webhook_secrets: Vec<MasterSecret>,
    /// Networks that are not public and to which webhooks may go all the same.
    pub webhook_allow: Vec<IpNet>,
    /// A PEM file of certificate authorities that are trusted besides the system's.
    pub webhook_ca_file: Option<PathBuf>,
    /// Milliseconds for a receiver to take a connection.
    pub webhook_connect_timeout_ms: u64,
    /// Milliseconds for the whole call.
    pub webhook_timeout_ms: u64,
}

impl WebhookConfig {
    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.webhook_connect_timeout_ms)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.webhook_timeout_ms)
    }
}

/// A secret of this service from which those of organizations are made: 32 bytes or more.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "SecretString")]
pub struct MasterSecret(SecretString);

impl MasterSecret {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl TryFrom<SecretString> for MasterSecret {
    type Error = &'static str;

    fn try_from(secret: SecretString) -> Result<Self, Self::Error> {
        if secret.expose_secret().len() < 32 {
            return Err("must have 32 bytes or more");
        }
        Ok(Self(secret))
    }
}
