//! The `[smtp]` section of the configuration.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// Which server takes the e-mails, and whose they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// The server's name, which its certificate must have.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
    /// The account; none when the server asks for none.
    pub username: Option<String>,
    /// The password of `username`.
    pub password: Option<SecretString>,
    /// The sender, such as `Data Export <exports@example.com>`.
    pub from: String,
    /// Where answers go; to the sender when there is none.
    pub reply_to: Option<String>,
    /// Milliseconds for the server to be reached, and for each of its answers.
    pub timeout_ms: u64,
    /// A PEM file of certificate authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// How the connection to the mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not at all: for a server on the same machine.
    None,
    /// With STARTTLS, RFC 3207, or not at all usable. Usually port 587.
    Starttls,
    /// With TLS from the first byte, RFC 8314. Usually port 465.
    Tls,
}
