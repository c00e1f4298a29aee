//! The e-mail arrives once, whatever the mail server does, and never touches the job.

use anyhow::{Context, Result};
use devstack::{Mailbox, Smtp};
use e2e::{World, eventually};
use serde_json::json;

#[tokio::test]
async fn the_link_in_the_mail_is_the_file() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    let mails = world.mails(1).await?;
    let mail = &mails[0];
    assert_eq!(mail.subject, "Your export of logs is ready");
    assert!(
        mail.text
            .contains(job["file"]["sha256"].as_str().context("a checksum")?)
    );
    let link = mail
        .text
        .split_whitespace()
        .find(|word| word.starts_with("http"))
        .context("a link")?;
    let (by_mail, by_api) = (api.fetch(link).await?, api.download(&job).await?);
    assert_eq!(by_mail.bytes, by_api.bytes);
    assert_eq!(by_mail.disposition, by_api.disposition);
    Ok(())
}

#[tokio::test]
async fn a_mail_server_that_is_down_delays_only_the_mail() -> Result<()> {
    let mut world = World::new().await?;
    let smtp = Smtp::start(&world.dir.path().join("smtp")).await?;
    world.env.smtp.port = smtp.port();
    let mailbox = Mailbox::new(smtp.mailbox_url());
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    smtp.kill().await;
    api.completed(&api.accepted(&json!({})).await?).await?;
    let mut postgres = world.postgres().await?;
    eventually("a second attempt", async || {
        let attempts: Option<i32> = sqlx::query_scalar("SELECT attempts FROM export_notifications")
            .fetch_optional(&mut postgres)
            .await?;
        Ok(attempts.filter(|attempts| *attempts > 1))
    })
    .await?;
    smtp.restart().await?;
    eventually("the mail", async || {
        let mails = mailbox.messages().await?;
        Ok((!mails.is_empty()).then_some(mails))
    })
    .await?;
    eventually("that it is noted", async || {
        let status: String = sqlx::query_scalar("SELECT status FROM export_notifications")
            .fetch_one(&mut postgres)
            .await?;
        Ok((status == "SENT").then_some(()))
    })
    .await?;
    assert_eq!(mailbox.messages().await?.len(), 1);
    smtp.stop().await
}
