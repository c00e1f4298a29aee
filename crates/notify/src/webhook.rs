//! The call that tells a program that an export is ready, or that it failed, as
//! [Standard Webhooks](https://www.standardwebhooks.com) describes it.

mod addresses;
mod config;
mod connector;
mod error;
mod secrets;
mod sender;

use chrono::{DateTime, Utc};
use domain::{OrganizationId, WebhookUrl};
use serde::Serialize;
use url::Host;
use uuid::Uuid;

pub use config::{MasterSecret, WebhookConfig};
pub use error::WebhookError;
pub use secrets::WebhookSecret;
pub use sender::WebhookSender;

use addresses::Addresses;

/// A call of a webhook.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a, T> {
    /// The id of the notification. Sent twice, a call has the same `webhook-id`, so that the
    /// receiver can drop the second.
    pub id: Uuid,
    /// Whose secret signs it.
    pub organization: OrganizationId,
    /// Where it goes.
    pub to: &'a WebhookUrl,
    /// When it is sent.
    pub date: DateTime<Utc>,
    /// What it says.
    pub event: &'a Event<T>,
}

/// What has happened: the body of a call.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Event<T> {
    /// What it was.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When it was, whenever it is told.
    pub timestamp: DateTime<Utc>,
    /// What it happened to.
    pub data: T,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum EventKind {
    /// The file of an export is there.
    #[serde(rename = "export.completed")]
    Completed,
    /// An export has failed.
    #[serde(rename = "export.failed")]
    Failed,
}

/// What is known of webhooks without calling one: whose secrets sign them, and where they may go.
#[derive(Clone, Debug)]
pub struct Webhooks {
    masters: Vec<MasterSecret>,
    addresses: Addresses,
}

impl Webhooks {
    /// Takes what the configuration says.
    pub fn new(config: &WebhookConfig) -> Self {
        Self {
            masters: config.webhook_secrets.clone(),
            addresses: Addresses::allowing(config.webhook_allow.clone()),
        }
    }

    /// Tells whether a request may name a webhook. Where the name of a host leads is only seen when it
    /// is called.
    ///
    /// # Errors
    ///
    /// Why not, to follow the name of the option.
    pub fn check(&self, webhook: &WebhookUrl) -> Result<(), &'static str> {
        if self.masters.is_empty() {
            return Err("cannot be used: webhooks are not set up at this service");
        }
        let address = match webhook.as_url().host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        match address {
            Some(address) if !self.addresses.permit(address) => Err("must be at a public address"),
            _ => Ok(()),
        }
    }

    /// Returns the secrets of an organization, the newest first; none where webhooks are not set up.
    pub fn secrets(&self, organization: OrganizationId) -> Vec<WebhookSecret> {
        self.masters
            .iter()
            .map(|master| WebhookSecret::derive(master, organization))
            .collect()
    }
}
