//! The e-mail that says an export is ready, or that it failed.

mod config;
mod email;
mod error;
mod mailer;
mod message;
mod view;

pub use config::{Security, SmtpConfig};
pub use email::{Email, Link, Outcome};
pub use error::NotifyError;
pub use mailer::Mailer;
