//! What the mail server received, seen from outside.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::net::http_client;

const POLL: Duration = Duration::from_millis(50);

/// A message that the mail server received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address in the header.
    pub from: String,
    /// The addresses of the envelope: who got it.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The Message-ID without its angle brackets.
    pub message_id: String,
    /// The text part, decoded; made from the HTML part when there is none.
    pub text: String,
    /// The HTML part, decoded; made from the text part when there is none.
    pub html: String,
    /// The message as it came, with invalid UTF-8 replaced.
    pub raw: String,
}

/// Reads the mail server's messages over HTTP.
#[derive(Clone, Debug)]
pub struct Mailbox {
    url: String,
}

impl Mailbox {
    /// Points at the mailbox of [`crate::Env::mailbox_url`].
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    /// Returns all messages, the newest last.
    ///
    /// # Errors
    ///
    /// When the mailbox does not answer.
    pub async fn messages(&self) -> Result<Vec<Mail>> {
        let response = http_client()?.get(self.messages_url()).send().await?;
        Ok(response.error_for_status()?.json().await?)
    }

    /// Returns the messages to an address, the newest last.
    ///
    /// # Errors
    ///
    /// When the mailbox does not answer.
    pub async fn messages_to(&self, address: &str) -> Result<Vec<Mail>> {
        let url = format!("{}/to/{address}", self.messages_url());
        let response = http_client()?.get(url).send().await?;
        Ok(response.error_for_status()?.json().await?)
    }

    /// Waits for a message that `wanted` accepts.
    ///
    /// # Errors
    ///
    /// When none has come after `deadline`, or the mailbox does not answer.
    pub async fn wait_for(
        &self,
        deadline: Duration,
        wanted: impl Fn(&Mail) -> bool,
    ) -> Result<Mail> {
        let started = Instant::now();
        loop {
            let found = self.messages().await?.into_iter().find(&wanted);
            if found.is_some() || started.elapsed() > deadline {
                return found.with_context(|| format!("no such message after {deadline:?}"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Forgets all messages.
    ///
    /// # Errors
    ///
    /// When the mailbox does not answer.
    pub async fn clear(&self) -> Result<()> {
        http_client()?
            .delete(self.messages_url())
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    fn messages_url(&self) -> String {
        format!("{}/messages", self.url)
    }
}
