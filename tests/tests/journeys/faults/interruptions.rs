//! Redis forgets, the mail server stammers, S3 hangs: small things that must stay small.

use std::time::{Duration, Instant};

use anyhow::Result;
use devstack::{Mailbox, Redis, Smtp, Stage};
use e2e::{World, eventually};
use reqwest::{StatusCode, Url};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bucket::{Bucket, proxy_before};

async fn flush(redis: &Redis) -> Result<()> {
    let url = Url::parse(&redis.url())?;
    let address = (
        url.host_str().unwrap_or_default(),
        url.port().unwrap_or_default(),
    );
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"FLUSHALL\r\n").await?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"+OK\r\n");
    Ok(())
}

#[tokio::test]
async fn a_redis_that_was_flushed_delays_a_job_by_a_poll_at_most() -> Result<()> {
    let mut world = World::new().await?;
    let redis = Redis::start(world.dir.path()).await?;
    world.env.redis_url = redis.url();
    let api = world.api(&[]).await?;
    let before = api.accepted(&json!({})).await?;
    flush(&redis).await?;
    let _worker = world
        .worker(&[("EXPORT__WORKER__POLL_INTERVAL_MS", "20000")])
        .await?;
    api.completed(&before).await?;
    flush(&redis).await?;
    let asked = Instant::now();
    api.completed(&api.accepted(&json!({})).await?).await?;
    assert!(
        asked.elapsed() < Duration::from_secs(25),
        "{:?}",
        asked.elapsed()
    );
    // From then on wake-ups arrive again.
    let asked = Instant::now();
    api.completed(&api.accepted(&json!({})).await?).await?;
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    redis.stop().await
}

#[tokio::test]
async fn a_redis_that_hangs_holds_up_neither_a_request_nor_a_job() -> Result<()> {
    let mut world = World::new().await?;
    let (proxy, through_proxy) = proxy_before(&world.env.redis_url).await?;
    world.env.redis_url = through_proxy;
    let api = world.api(&[]).await?;
    let worker = world.worker(&[]).await?;
    api.completed(&api.accepted(&json!({})).await?).await?;
    proxy.stall_after(0);
    for _ in 0..3 {
        let asked = Instant::now();
        let id = api.accepted(&json!({})).await?;
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        api.completed(&id).await?;
    }
    worker.stop(Duration::from_secs(20)).await
}

#[tokio::test]
async fn a_mail_server_that_hangs_does_not_keep_a_worker_from_stopping() -> Result<()> {
    let world = World::new().await?;
    let smtp = Smtp::start(world.dir.path()).await?;
    let (proxy, through_proxy) = proxy_before(&format!("smtp://127.0.0.1:{}", smtp.port())).await?;
    let port = Url::parse(&through_proxy)?.port().unwrap_or_default();
    let api = world.api(&[]).await?;
    let settings = [
        ("EXPORT__SMTP__PORT", &*port.to_string()),
        ("EXPORT__WORKER__SHUTDOWN_GRACE_S", "1"),
    ];
    let worker = world.worker(&settings).await?;
    proxy.stall_after(0);
    api.completed(&api.accepted(&json!({})).await?).await?;
    eventually("an attempt to send", async || {
        let attempts = sqlx::query_scalar("SELECT attempts FROM notifications");
        let attempts: i32 = attempts.fetch_one(&mut world.postgres().await?).await?;
        Ok((attempts > 0).then_some(()))
    })
    .await?;
    worker.stop(Duration::from_secs(20)).await?;
    smtp.stop().await
}

#[tokio::test]
async fn a_mail_that_may_have_arrived_comes_again_under_the_same_id() -> Result<()> {
    let mut world = World::new().await?;
    let smtp = Smtp::start(world.dir.path()).await?;
    world.env.smtp.port = smtp.port();
    let mailbox = Mailbox::new(smtp.mailbox_url());
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    smtp.faults().hang_up_after_data(1);
    api.completed(&api.accepted(&json!({})).await?).await?;
    let mails = eventually("the second mail", async || {
        let mails = mailbox.messages().await?;
        Ok((mails.len() > 1).then_some(mails))
    });
    let mails = mails.await?;
    assert_eq!(mails[0].message_id, mails[1].message_id);
    smtp.stop().await
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up() -> Result<()> {
    let mut world = World::new().await?;
    let smtp = Smtp::start(world.dir.path()).await?;
    world.env.smtp.port = smtp.port();
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    smtp.faults().reject(Stage::Recipient, 550, usize::MAX);
    let job = api.completed(&api.accepted(&json!({})).await?).await?;
    eventually("that it is given up", async || {
        let (status, attempts): (String, i32) =
            sqlx::query_as("SELECT status, attempts FROM notifications")
                .fetch_one(&mut world.postgres().await?)
                .await?;
        Ok((status == "FAILED" && attempts == 1).then_some(()))
    })
    .await?;
    let id = job["job_id"].as_str().unwrap_or_default();
    assert_eq!(api.job(id).await?, job, "the job is none the worse");
    api.download(&job).await?;
    smtp.stop().await
}

#[tokio::test]
async fn readiness_tells_that_s3_is_down() -> Result<()> {
    let mut world = World::new().await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    bucket.s3.kill().await;
    let (status, ready) = api.get("/readyz").await?;
    assert_eq!(
        (status, &ready["status"]),
        (StatusCode::OK, &json!("degraded"))
    );
    assert_eq!(ready["dependencies"]["s3"]["status"], "down");
    assert_eq!(ready["dependencies"]["redis"]["status"], "up");
    let answer = api.send(reqwest::Method::GET, "/healthz", None).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_storage_that_hangs_does_not_keep_a_worker_from_stopping() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let bucket = Bucket::start(&mut world).await?;
    let (proxy, through_proxy) = proxy_before(&world.env.s3.endpoint).await?;
    let api = world.api(&[]).await?;
    let settings = [
        ("EXPORT__S3__ENDPOINT", through_proxy.as_str()),
        ("EXPORT__WORKER__SHUTDOWN_GRACE_S", "1"),
    ];
    let worker = world.worker(&settings).await?;
    proxy.stall_after(0);
    let id = api.accepted(&json!({})).await?;
    eventually("the object", async || {
        Ok((!bucket.objects()?.is_empty()).then_some(()))
    })
    .await?;
    worker.stop(Duration::from_secs(20)).await?;
    assert_eq!(api.job(&id).await?["status"], "PENDING");

    let _second = world.worker(&[]).await?;
    assert_eq!(api.completed(&id).await?["file"]["rows"], 100);
    assert_eq!(bucket.objects()?.len(), 1, "{:?}", bucket.objects()?);
    Ok(())
}
