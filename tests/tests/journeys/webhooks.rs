//! A program hears that an export is ready or has failed, once it listens, and knows who says so.

use std::fs;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use devstack::{Received, Receiver, Reply};
use e2e::{ADMIN, Api, Job, World, eventually};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::exports::events;

/// The settings with which a receiver on this machine can be called.
const OPEN: [(&str, &str); 3] = [
    (
        "EXPORT__NOTIFY__WEBHOOK_SECRETS",
        r#"["only for the journeys, never in production"]"#,
    ),
    ("EXPORT__NOTIFY__WEBHOOK_ALLOW", r#"["127.0.0.0/8"]"#),
    ("EXPORT__AUTH__PERMISSIONS_CLAIMS", r#"["scope"]"#),
];

/// A world in which somebody listens.
struct Journey {
    world: World,
    receiver: Receiver,
    api: Api,
}

impl Journey {
    async fn new() -> Result<Self> {
        let world = World::new().await?;
        let receiver = Receiver::start().await?;
        fs::write(world.dir.path().join("ca.pem"), receiver.certificate())?;
        let api = world.api(&OPEN).await?;
        Ok(Self {
            world,
            receiver,
            api,
        })
    }

    /// Starts a worker that trusts the receiver.
    async fn worker(&self, settings: &[(&str, &str)]) -> Result<devstack::Service> {
        let path = self.world.dir.path().join("ca.pem");
        let trust = [(
            "EXPORT__NOTIFY__WEBHOOK_CA_FILE",
            path.to_str().context("a path")?,
        )];
        self.world
            .worker(&[&OPEN[..], &trust, settings].concat())
            .await
    }

    async fn accepted(&self, webhook: &str) -> Result<String> {
        self.api.accepted(&calling(webhook)).await
    }

    /// Waits until a notification has come to its end, and returns how often it was tried.
    async fn ended(&self, job: &str, channel: &str, status: &str) -> Result<i32> {
        let mut postgres = self.world.postgres().await?;
        eventually("the end of a notification", async || {
            let sql = "SELECT attempts FROM export_notifications
                       WHERE job_id = $1::uuid AND channel = $2 AND status = $3";
            Ok(sqlx::query_scalar(sql)
                .bind(job)
                .bind(channel)
                .bind(status)
                .fetch_optional(&mut postgres)
                .await?)
        })
        .await
    }

    /// Checks a call as a receiver does that knows the specification and its secret.
    async fn check(&self, call: &Received) -> Result<()> {
        let admin = self.world.colleague(ADMIN).await?;
        let path = "/api/v1/export/webhook-secret";
        let answer = self.api.get_as(&admin, path).await?;
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await?;
        let secret = answer["secrets"][0].as_str().context("a secret")?;
        let key = STANDARD.decode(secret.strip_prefix("whsec_").context("the prefix")?)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
        let (id, timestamp) = (call.header("webhook-id"), call.header("webhook-timestamp"));
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(&call.body);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(call.header("webhook-signature"), signature);
        Ok(())
    }
}

fn calling(webhook: &str) -> Value {
    json!({ "options": { "notify": { "webhook": webhook } } })
}

fn body(call: &Received) -> Result<Value> {
    Ok(serde_json::from_slice(&call.body)?)
}

/// What is told of the end of a job.
fn told(kind: &str, job: &Job) -> Value {
    json!({ "type": kind, "timestamp": job["completed_at"], "data": job })
}

#[tokio::test]
async fn a_program_is_told_what_get_says_of_a_completed_export() -> Result<()> {
    let journey = Journey::new().await?;
    journey.world.seed("otel", &journey.world.ours, 100).await?;
    let _worker = journey.worker(&[]).await?;
    let id = journey.accepted(&journey.receiver.url("/done?x=1")).await?;
    let job = journey.api.completed(&id).await?;
    journey.ended(&id, "webhook", "SENT").await?;
    let calls = journey.receiver.received();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].path, "/done?x=1");
    assert_eq!(body(&calls[0])?, told("export.completed", &job));
    assert!(!String::from_utf8_lossy(&calls[0].body).contains("X-Amz-"));
    journey.check(&calls[0]).await?;
    let manifest = format!("/api/v1/export/{id}/manifest");
    let (_, manifest) = journey.api.get(&manifest).await?;
    assert_eq!(
        manifest["options"].get("notify"),
        None,
        "it is not the file's"
    );
    journey.world.mails(1).await?;
    journey.world.check_invariants().await
}

#[tokio::test]
async fn a_program_is_told_of_a_failure() -> Result<()> {
    let journey = Journey::new().await?;
    let _worker = journey
        .worker(&[("EXPORT__S3__BUCKET", "there-is-no-such-bucket")])
        .await?;
    let id = journey.accepted(&journey.receiver.url("/")).await?;
    let job = journey.api.failed(&id).await?;
    journey.ended(&id, "webhook", "SENT").await?;
    let calls = journey.receiver.received();
    assert_eq!(body(&calls[0])?, told("export.failed", &job));
    journey.check(&calls[0]).await
}

#[tokio::test]
async fn a_receiver_that_stumbles_is_told_again_under_the_same_id() -> Result<()> {
    let journey = Journey::new().await?;
    let _worker = journey.worker(&[]).await?;
    let failed = Reply::Status(StatusCode::INTERNAL_SERVER_ERROR);
    journey.receiver.reply([failed.clone(), failed]);
    let id = journey.accepted(&journey.receiver.url("/")).await?;
    assert_eq!(journey.ended(&id, "webhook", "SENT").await?, 3);
    let calls = journey.receiver.received();
    assert_eq!(calls.len(), 3);
    for call in &calls {
        assert_eq!(call.header("webhook-id"), calls[0].header("webhook-id"));
        assert_eq!(call.body, calls[0].body);
        journey.check(call).await?;
    }
    // The e-mail knows nothing of it.
    assert_eq!(journey.ended(&id, "email", "SENT").await?, 1);
    assert_eq!(journey.world.mails(1).await?.len(), 1);
    journey.world.check_invariants().await
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other() -> Result<()> {
    let journey = Journey::new().await?;
    let _worker = journey.worker(&[]).await?;
    // Takes connections and never says a word.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let silent = format!("https://{}/", listener.local_addr()?);
    let hanging = journey.accepted(&silent).await?;
    let _connection = listener.accept().await?;
    let id = journey.accepted(&journey.receiver.url("/")).await?;
    journey.ended(&id, "webhook", "SENT").await?;
    journey.ended(&hanging, "email", "SENT").await?;
    Ok(())
}

#[tokio::test]
async fn receivers_of_one_organization_that_hang_leave_room_for_another() -> Result<()> {
    let journey = Journey::new().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let silent = format!("https://{}/", listener.local_addr()?);
    // As many as a worker calls at once, and more.
    let mut last = String::new();
    for _ in 0..20 {
        last = journey.accepted(&silent).await?;
    }
    let patient = [
        ("EXPORT__NOTIFY__WEBHOOK_TIMEOUT_MS", "600000"),
        ("EXPORT__NOTIFICATIONS__LEASE_S", "600"),
    ];
    let _worker = journey.worker(&patient).await?;
    journey.api.completed(&last).await?;
    let _connection = listener.accept().await?;

    let theirs = &journey.world.theirs;
    let webhook = calling(&journey.receiver.url("/theirs"));
    let id = journey.api.accepted_as(theirs, &webhook).await?;
    journey.ended(&id, "webhook", "SENT").await?;
    assert_eq!(journey.receiver.received()[0].path, "/theirs");
    Ok(())
}

#[tokio::test]
async fn nothing_on_the_own_network_is_called() -> Result<()> {
    let journey = Journey::new().await?;
    // The worker goes by its own list, whatever the API lets pass.
    let _worker = journey
        .worker(&[("EXPORT__NOTIFY__WEBHOOK_ALLOW", "[]")])
        .await?;
    let port = journey.receiver.port();
    for host in ["localhost", "127.0.0.1", "2130706433", "0x7f.1"] {
        let id = journey.accepted(&format!("https://{host}:{port}/")).await?;
        journey.api.completed(&id).await?;
        assert_eq!(journey.ended(&id, "webhook", "FAILED").await?, 1, "{host}");
        journey.ended(&id, "email", "SENT").await?;
        let events = events(&journey.world, &id).await?;
        assert_eq!(events, ["requested", "started", "completed", "unnotified"]);
    }
    assert_eq!(journey.receiver.connections(), 0);
    journey.world.check_invariants().await
}

#[tokio::test]
async fn a_redirect_leads_nowhere() -> Result<()> {
    let journey = Journey::new().await?;
    let secret = Receiver::start().await?;
    let twice = [("EXPORT__NOTIFICATIONS__MAX_ATTEMPTS", "2")];
    let _worker = journey.worker(&twice).await?;
    let away = Reply::Redirect(secret.url("/metadata"));
    journey.receiver.reply([away.clone(), away]);
    let id = journey.accepted(&journey.receiver.url("/")).await?;
    assert_eq!(journey.ended(&id, "webhook", "FAILED").await?, 2);
    assert_eq!(journey.receiver.received().len(), 2);
    assert_eq!(secret.connections(), 0);
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_of_an_export_that_is_taken_back() -> Result<()> {
    let journey = Journey::new().await?;
    let id = journey
        .accepted(&journey.receiver.url("/taken-back"))
        .await?;
    assert_eq!(journey.api.delete(&id).await?["status"], "CANCELLED");
    let _worker = journey.worker(&[]).await?;
    let next = journey.accepted(&journey.receiver.url("/next")).await?;
    journey.ended(&next, "webhook", "SENT").await?;
    let calls = journey.receiver.received();
    let paths: Vec<_> = calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(paths, ["/next"]);
    journey.world.check_invariants().await
}
