//! How calls get to a receiver, and what becomes of those that do not.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use devstack::{Receiver, Reply};
use domain::{Classify, ErrorClass, OrganizationId, WebhookUrl};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{Method, StatusCode};
use notify::{Call, Event, EventKind, WebhookConfig, WebhookError, WebhookSender, Webhooks};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use uuid::Uuid;

/// A receiver, and the settings with which it can be called.
struct Stage {
    receiver: Receiver,
    config: WebhookConfig,
    dir: TempDir,
}

impl Stage {
    async fn new() -> anyhow::Result<Self> {
        let receiver = Receiver::start().await?;
        let dir = TempDir::new()?;
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, receiver.certificate())?;
        let config = serde_json::from_value(json!({
            "webhook_secrets": ["a secret of this service, long enough"],
            "webhook_allow": ["127.0.0.0/8", "::1/128"],
            "webhook_ca_file": ca_file,
            "webhook_connect_timeout_ms": 5_000,
            "webhook_timeout_ms": 10_000,
        }))?;
        Ok(Self {
            receiver,
            config,
            dir,
        })
    }

    async fn call(&self, to: &str) -> Result<(), WebhookError> {
        let sender = WebhookSender::new(&self.config)?;
        let event = Event {
            kind: EventKind::Completed,
            timestamp: date("2026-01-02T10:00:00Z"),
            data: json!({ "job_id": 7 }),
        };
        let call = Call {
            id: Uuid::from_u128(7),
            organization: organization(),
            to: &WebhookUrl::parse(to).expect("an address"),
            date: date("2026-01-02T10:00:05.9Z"),
            event: &event,
        };
        sender.send(&call).await
    }

    fn secret(&self) -> String {
        Webhooks::new(&self.config).secrets(organization())[0].reveal()
    }
}

fn organization() -> OrganizationId {
    Uuid::from_u128(1).into()
}

fn date(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Verifies a signature as a receiver does that knows the specification and nothing of this code.
fn verify(secret: &str, id: &str, timestamp: &str, body: &[u8], signature: &str) -> bool {
    let key = secret.strip_prefix("whsec_").expect("the prefix");
    let key = STANDARD.decode(key).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let expected = STANDARD.encode(mac.finalize().into_bytes());
    signature
        .split(' ')
        .any(|signature| signature.strip_prefix("v1,") == Some(&*expected))
}

#[tokio::test]
async fn a_call_is_a_signed_post() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    stage
        .call(&stage.receiver.url("/exports/done?from=us"))
        .await?;
    let [call] = &stage.receiver.received()[..] else {
        anyhow::bail!("one call")
    };
    assert_eq!(call.method, Method::POST);
    assert_eq!(call.path, "/exports/done?from=us");
    assert_eq!(
        call.header("host"),
        format!("localhost:{}", stage.receiver.port())
    );
    assert_eq!(call.header("content-type"), "application/json");
    assert!(call.header("user-agent").starts_with("data-export/"));
    assert_eq!(call.header("webhook-id"), Uuid::from_u128(7).to_string());
    assert_eq!(call.header("webhook-timestamp"), "1767348005");
    assert_eq!(
        serde_json::from_slice::<Value>(&call.body)?,
        json!({
            "type": "export.completed", "timestamp": "2026-01-02T10:00:00Z",
            "data": { "job_id": 7 },
        })
    );
    let (id, timestamp) = (call.header("webhook-id"), call.header("webhook-timestamp"));
    let signature = call.header("webhook-signature");
    assert!(verify(
        &stage.secret(),
        id,
        timestamp,
        &call.body,
        signature
    ));
    assert!(!verify(&stage.secret(), id, timestamp, b"{}", signature));
    assert!(!verify(
        &stage.secret(),
        id,
        "1767348006",
        &call.body,
        signature
    ));
    Ok(())
}

#[tokio::test]
async fn secrets_can_be_changed_while_receivers_know_the_old_one() -> anyhow::Result<()> {
    let mut stage = Stage::new().await?;
    let old = stage.secret();
    let new = serde_json::from_value(json!("another secret of this service, long enough"))?;
    stage.config.webhook_secrets.insert(0, new);
    stage.call(&stage.receiver.url("/")).await?;
    let call = stage.receiver.received().remove(0);
    assert_ne!(stage.secret(), old);
    for secret in [stage.secret(), old] {
        let (id, timestamp) = (call.header("webhook-id"), call.header("webhook-timestamp"));
        let signature = call.header("webhook-signature");
        assert!(verify(&secret, id, timestamp, &call.body, signature));
    }
    Ok(())
}

#[tokio::test]
async fn an_address_may_be_a_number() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let port = stage.receiver.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1"] {
        stage.call(&format!("https://{host}:{port}/")).await?;
    }
    assert_eq!(stage.receiver.received().len(), 3);
    Ok(())
}

#[tokio::test]
async fn what_is_not_public_is_not_called() -> anyhow::Result<()> {
    let mut stage = Stage::new().await?;
    stage.config.webhook_allow.clear();
    let webhooks = Webhooks::new(&stage.config);
    let port = stage.receiver.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "127.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "10.0.0.1",
    ] {
        let url = format!("https://{host}:{port}/");
        let wrong = webhooks.check(&WebhookUrl::parse(&url).expect("an address"));
        assert_eq!(wrong, Err("must be at a public address"), "{url}");
        let error = stage.call(&url).await.unwrap_err();
        assert!(matches!(error, WebhookError::Forbidden), "{url}: {error:?}");
    }
    // What a name means is only seen when it is resolved.
    for host in ["localhost", "LOCALHOST"] {
        let url = format!("https://{host}:{port}/");
        webhooks
            .check(&WebhookUrl::parse(&url).expect("an address"))
            .expect("a name");
        let error = stage.call(&url).await.unwrap_err();
        assert!(matches!(error, WebhookError::Forbidden), "{url}: {error:?}");
        assert_eq!(error.class(), ErrorClass::Permanent);
    }
    assert_eq!(stage.receiver.connections(), 0);
    Ok(())
}

#[tokio::test]
async fn redirects_are_not_followed() -> anyhow::Result<()> {
    let (stage, other) = (Stage::new().await?, Receiver::start().await?);
    stage
        .receiver
        .reply([Reply::Redirect(other.url("/metadata"))]);
    let error = stage.call(&stage.receiver.url("/")).await.unwrap_err();
    assert!(matches!(error, WebhookError::Refused { status: 307, .. }));
    assert_eq!(other.connections(), 0);
    assert_eq!(stage.receiver.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn the_receiver_decides_whether_to_try_again() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    for (status, class) in [
        (StatusCode::INTERNAL_SERVER_ERROR, ErrorClass::TRANSIENT),
        (StatusCode::TOO_MANY_REQUESTS, ErrorClass::TRANSIENT),
        (StatusCode::NOT_FOUND, ErrorClass::TRANSIENT),
        (StatusCode::GONE, ErrorClass::Permanent),
    ] {
        stage.receiver.reply([Reply::Status(status)]);
        let error = stage
            .call(&stage.receiver.url("/a-secret"))
            .await
            .unwrap_err();
        assert_eq!(error.class(), class, "{error:?}");
        assert!(
            !format!("{error:?}").contains("a-secret"),
            "no path is told"
        );
    }
    for status in [StatusCode::OK, StatusCode::ACCEPTED] {
        stage.receiver.reply([Reply::Status(status)]);
        stage.call(&stage.receiver.url("/")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left() -> anyhow::Result<()> {
    let mut stage = Stage::new().await?;
    stage.config.webhook_timeout_ms = 300;
    stage.receiver.reply([Reply::Silence]);
    let started = Instant::now();
    let error = stage.call(&stage.receiver.url("/")).await.unwrap_err();
    assert!(matches!(error, WebhookError::TimedOut), "{error:?}");
    assert_eq!(error.class(), ErrorClass::TRANSIENT);
    assert!(started.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_nobody_vouches_for_is_told_nothing() -> anyhow::Result<()> {
    let mut stage = Stage::new().await?;
    let url = stage.receiver.url("/");
    stage.config.webhook_ca_file = None;
    let error = stage.call(&url).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TRANSIENT, "{error:?}");
    assert!(stage.receiver.received().is_empty());
    stage.config.webhook_ca_file = Some(stage.dir.path().join("nowhere.pem"));
    let error = stage.call(&url).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration of webhooks is wrong: webhook_ca_file"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_secret_there_are_no_webhooks() -> anyhow::Result<()> {
    let mut stage = Stage::new().await?;
    stage.config.webhook_secrets.clear();
    let url = stage.receiver.url("/");
    let webhooks = Webhooks::new(&stage.config);
    let wrong = webhooks.check(&WebhookUrl::parse(&url).expect("an address"));
    assert_eq!(
        wrong,
        Err("cannot be used: webhooks are not set up at this service")
    );
    assert!(webhooks.secrets(organization()).is_empty());
    // A job may have been requested before.
    let error = stage.call(&url).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TRANSIENT);
    assert_eq!(stage.receiver.connections(), 0);
    Ok(())
}

#[tokio::test]
async fn nothing_secret_is_in_debug_output() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let sender = WebhookSender::new(&stage.config)?;
    let webhooks = Webhooks::new(&stage.config);
    let secrets = webhooks.secrets(organization());
    let shown = format!("{:?} {sender:?} {webhooks:?} {secrets:?}", stage.config);
    assert!(
        !shown.contains("long enough") && !shown.contains("whsec_"),
        "{shown}"
    );
    Ok(())
}
