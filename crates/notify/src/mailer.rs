//! Sends e-mails over SMTP.

use std::fmt;
use std::fs;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use crate::config::{Security, SmtpConfig};
use crate::email::Email;
use crate::error::NotifyError;
use crate::message;

/// The connection to the mail server.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
}

impl Mailer {
    /// Makes a mailer. Says nothing to the server yet.
    ///
    /// # Errors
    ///
    /// [`NotifyError::Config`] when an address or the file of certificates is wrong.
    pub fn new(config: &SmtpConfig) -> Result<Self, NotifyError> {
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .timeout(Some(Duration::from_millis(config.timeout_ms)))
            .tls(tls(config)?);
        match (&config.username, &config.password) {
            (Some(username), Some(password)) => {
                let password = password.expose_secret().to_owned();
                transport = transport.credentials(Credentials::new(username.clone(), password));
            }
            (None, None) => {}
            _ => return Err(wrong("username", "username and password belong together")),
        }
        Ok(Self {
            transport: transport.build(),
            from: mailbox("from", &config.from)?,
            reply_to: match &config.reply_to {
                Some(address) => Some(mailbox("reply_to", address)?),
                None => None,
            },
        })
    }

    /// Sends an e-mail, in HTML and as plain text.
    ///
    /// # Errors
    ///
    /// Transient when the server cannot be reached or says so, permanent when it refuses.
    pub async fn send(&self, email: &Email<'_>) -> Result<(), NotifyError> {
        let message = message::build(email, &self.from, self.reply_to.as_ref())?;
        self.transport.send(message).await?;
        Ok(())
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The transport has the password, and the addresses are nobody's business.
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

fn tls(config: &SmtpConfig) -> Result<Tls, NotifyError> {
    let wrap = match config.security {
        Security::None => return Ok(Tls::None),
        Security::Starttls => Tls::Required,
        Security::Tls => Tls::Wrapper,
    };
    let mut parameters = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let pem = fs::read(path).map_err(|error| wrong("ca_file", error))?;
        let authority = Certificate::from_pem(&pem).map_err(|error| wrong("ca_file", error))?;
        parameters = parameters.add_root_certificate(authority);
    }
    let parameters = parameters
        .build_rustls()
        .map_err(|error| wrong("ca_file", error))?;
    Ok(wrap(parameters))
}

fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, NotifyError> {
    text.parse().map_err(|error| wrong(key, error))
}

fn wrong(
    key: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> NotifyError {
    NotifyError::Config {
        key,
        source: source.into(),
    }
}
