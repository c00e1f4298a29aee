//! Who hears that an export is ready, or that it failed: its user by e-mail, and a program by a webhook.

mod config;
mod email;
mod error;
mod mailer;
mod message;
mod view;
mod webhook;

pub use config::{Security, SmtpConfig};
pub use email::{Email, Link, Outcome};
pub use error::NotifyError;
pub use mailer::Mailer;
pub use webhook::{
    Call, Event, EventKind, MasterSecret, WebhookConfig, WebhookError, WebhookSecret,
    WebhookSender, Webhooks,
};
