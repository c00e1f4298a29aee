//! Calls webhooks: one signed POST on a connection of its own, and nothing that the answer could lead
//! to.

use std::fmt;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use url::Position;

use super::connector::Connector;
use super::secrets::WebhookSecret;
use super::{Call, WebhookConfig, WebhookError, Webhooks};

/// Bytes of an answer that are looked at: its status and its headers. The rest is never read.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// What the service calls itself.
const NAME: &str = concat!("data-export/", env!("CARGO_PKG_VERSION"));

/// Calls webhooks.
#[derive(Clone)]
pub struct WebhookSender {
    webhooks: Webhooks,
    connector: Connector,
    timeout: Duration,
}

impl WebhookSender {
    /// Makes a sender. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the file of certificates is wrong.
    pub fn new(config: &WebhookConfig) -> Result<Self, WebhookError> {
        let webhooks = Webhooks::new(config);
        Ok(Self {
            connector: Connector::new(config, webhooks.addresses.clone())?,
            webhooks,
            timeout: config.timeout(),
        })
    }

    /// Calls a webhook. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// Transient when the receiver cannot be reached or answers with anything but 2xx; permanent when
    /// it says 410, or when its address is none to which webhooks may go.
    pub async fn send<T: Serialize>(&self, call: &Call<'_, T>) -> Result<(), WebhookError> {
        let secrets = self.webhooks.secrets(call.organization);
        let request = request(call, &secrets)?;
        let answered = timeout(self.timeout, async {
            let stream = self.connector.connect(call.to).await?;
            let (mut sender, connection) = http1::Builder::new()
                .max_buf_size(MAX_HEAD_BYTES)
                .handshake(TokioIo::new(stream))
                .await?;
            let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
            judge(&sender.send_request(request).await?)
        });
        answered.await.map_err(|_| WebhookError::TimedOut)?
    }
}

impl fmt::Debug for WebhookSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSender").finish_non_exhaustive()
    }
}

fn request<T: Serialize>(
    call: &Call<'_, T>,
    secrets: &[WebhookSecret],
) -> Result<Request<Full<Bytes>>, WebhookError> {
    if secrets.is_empty() {
        return Err(WebhookError::NotSetUp);
    }
    let body = serde_json::to_vec(call.event)?;
    let timestamp = call.date.timestamp();
    let signatures: Vec<_> = secrets
        .iter()
        .map(|secret| secret.sign(call.id, timestamp, &body))
        .collect();
    let url = call.to.as_url();
    Ok(Request::builder()
        .method(Method::POST)
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, NAME)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", call.id.to_string())
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signatures.join(" "))
        .body(body.into())?)
}

fn judge(answer: &Response<Incoming>) -> Result<(), WebhookError> {
    if answer.status().is_success() {
        return Ok(());
    }
    let wish = answer.headers().get(RETRY_AFTER);
    let seconds = wish.and_then(|wish| wish.to_str().ok()?.parse().ok());
    Err(WebhookError::Refused {
        status: answer.status().as_u16(),
        retry_after: seconds.map(Duration::from_secs),
    })
}
