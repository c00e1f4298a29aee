//! The mail server stammers, refuses, hangs or is away: the job does not notice, and the user hears
//! of it once, or the operator that the user did not.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::{Mail, Mailbox, Smtp, Stage};
use e2e::{Api, Job, World, eventually};
use reqwest::Url;
use serde_json::json;

use crate::bucket::proxy_before;
use crate::exports::events;

/// A world with a mail server of its own.
struct Journey {
    world: World,
    smtp: Smtp,
    api: Api,
}

impl Journey {
    async fn new() -> Result<Self> {
        let mut world = World::new().await?;
        let smtp = Smtp::start(world.dir.path()).await?;
        world.env.smtp.port = smtp.port();
        world.env.mailbox_url = smtp.mailbox_url();
        let api = world.api(&[]).await?;
        Ok(Self { world, smtp, api })
    }

    async fn mails(&self) -> Result<Vec<Mail>> {
        Mailbox::new(&self.world.env.mailbox_url).messages().await
    }

    /// Completes an export, and waits until its notification is `status`. Returns the job and how
    /// often the mail was tried.
    async fn notified(&self, status: &str) -> Result<(Job, i32)> {
        let job = self
            .api
            .completed(&self.api.accepted(&json!({})).await?)
            .await?;
        let attempts = self.notification(status).await?;
        Ok((job, attempts))
    }

    async fn notification(&self, status: &str) -> Result<i32> {
        let mut postgres = self.world.postgres().await?;
        eventually("an end of the notification", async || {
            let sql = "SELECT attempts FROM export_notifications WHERE status = $1";
            Ok(sqlx::query_scalar(sql)
                .bind(status)
                .fetch_optional(&mut postgres)
                .await?)
        })
        .await
    }

    /// Checks that the job is none the worse, and everything else.
    async fn check(&self, job: &Job) -> Result<()> {
        let id = job["job_id"].as_str().context("an id")?;
        assert_eq!(&self.api.job(id).await?, job);
        self.api.download(job).await?;
        self.world.check_invariants().await
    }

    /// Checks that the mail was given up where somebody can see it.
    async fn check_given_up(&self, job: &Job) -> Result<()> {
        let id = job["job_id"].as_str().context("an id")?;
        let events = events(&self.world, id).await?;
        assert_eq!(events, ["requested", "started", "completed", "unnotified"]);
        assert!(self.mails().await?.is_empty());
        self.check(job).await
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_for_now_comes_later_and_once() -> Result<()> {
    let journey = Journey::new().await?;
    let _worker = journey.world.worker(&[]).await?;
    for stage in [Stage::Recipient, Stage::Data] {
        journey.smtp.faults().reject(stage, 451, 2);
        let (job, attempts) = journey.notified("SENT").await?;
        assert_eq!(attempts, 3, "{stage:?}");
        journey.check(&job).await?;
        assert_eq!(journey.mails().await?.len(), 1, "{stage:?}");
        Mailbox::new(&journey.world.env.mailbox_url).clear().await?;
        sqlx::query("DELETE FROM export_notifications")
            .execute(&mut journey.world.postgres().await?)
            .await?;
    }
    journey.smtp.stop().await
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_at_once() -> Result<()> {
    let journey = Journey::new().await?;
    let _worker = journey.world.worker(&[]).await?;
    journey
        .smtp
        .faults()
        .reject(Stage::Recipient, 550, usize::MAX);
    let (job, attempts) = journey.notified("FAILED").await?;
    assert_eq!(attempts, 1);
    journey.check_given_up(&job).await?;
    journey.smtp.stop().await
}

#[tokio::test]
async fn a_mail_that_is_refused_again_and_again_is_given_up_in_the_end() -> Result<()> {
    let journey = Journey::new().await?;
    let thrice = [("EXPORT__NOTIFICATIONS__MAX_ATTEMPTS", "3")];
    let _worker = journey.world.worker(&thrice).await?;
    journey.smtp.faults().reject(Stage::Data, 452, usize::MAX);
    let (job, attempts) = journey.notified("FAILED").await?;
    assert_eq!(attempts, 3);
    journey.check_given_up(&job).await?;
    journey.smtp.stop().await
}

#[tokio::test]
async fn a_mail_to_a_server_that_stays_away_is_given_up_in_the_end() -> Result<()> {
    let journey = Journey::new().await?;
    let twice = [("EXPORT__NOTIFICATIONS__MAX_ATTEMPTS", "2")];
    let _worker = journey.world.worker(&twice).await?;
    journey.smtp.kill().await;
    let (job, attempts) = journey.notified("FAILED").await?;
    assert_eq!(attempts, 2);
    journey.check_given_up(&job).await?;
    journey.smtp.stop().await
}

#[tokio::test]
async fn a_mail_that_may_have_arrived_comes_again_under_the_same_id() -> Result<()> {
    let journey = Journey::new().await?;
    let _worker = journey.world.worker(&[]).await?;
    journey.smtp.faults().hang_up_after_data(1);
    let (job, attempts) = journey.notified("SENT").await?;
    assert_eq!(attempts, 2);
    let mails = journey.mails().await?;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].message_id, mails[1].message_id);
    journey.check(&job).await?;
    journey.smtp.stop().await
}

#[tokio::test]
async fn a_mail_server_that_hangs_does_not_keep_a_worker_from_stopping() -> Result<()> {
    let journey = Journey::new().await?;
    let server = format!("smtp://127.0.0.1:{}", journey.smtp.port());
    let (proxy, through_proxy) = proxy_before(&server).await?;
    let port = Url::parse(&through_proxy)?.port().context("a port")?;
    let settings = [
        ("EXPORT__SMTP__PORT", &*port.to_string()),
        ("EXPORT__WORKER__SHUTDOWN_GRACE_S", "1"),
    ];
    let worker = journey.world.worker(&settings).await?;
    proxy.stall_after(0);
    let id = journey.api.accepted(&json!({})).await?;
    let job = journey.api.completed(&id).await?;
    let mut postgres = journey.world.postgres().await?;
    eventually("an attempt to send", async || {
        let attempts = sqlx::query_scalar("SELECT attempts FROM export_notifications");
        let attempts: i32 = attempts.fetch_one(&mut postgres).await?;
        Ok((attempts > 0).then_some(()))
    })
    .await?;
    worker.stop(Duration::from_secs(20)).await?;

    let _second = journey.world.worker(&[]).await?;
    // As if the two minutes that a worker has for a mail were over.
    sqlx::query("UPDATE export_notifications SET lease_until = now()")
        .execute(&mut postgres)
        .await?;
    assert_eq!(journey.notification("SENT").await?, 2);
    assert_eq!(journey.mails().await?.len(), 1);
    journey.check(&job).await?;
    journey.smtp.stop().await
}
