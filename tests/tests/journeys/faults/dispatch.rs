//! More jobs than Redis is told of: all are done, each once.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use devstack::{Redis, Smtp};
use e2e::{World, eventually};
use reqwest::Url;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::bucket::Bucket;
use crate::exports::{SOON, count};

/// Jobs that come through the API, and those that are in Postgres only.
const POSTED: usize = 300;
const INSERTED: i64 = 700;

/// Requests at the same time, each of which may push one message above the limit.
const AT_ONCE: usize = 10;
const MAX_UNDELIVERED: usize = 100;

/// Counts the messages that wait, in the two places that apalis has for them.
async fn undelivered(redis: &Redis) -> Result<usize> {
    let url = Url::parse(&redis.url())?;
    let address = (
        url.host_str().unwrap_or_default(),
        url.port().unwrap_or_default(),
    );
    let mut connection = BufReader::new(TcpStream::connect(address).await?);
    let mut messages = 0;
    for command in ["LLEN bulk:active\r\n", "ZCARD bulk:scheduled\r\n"] {
        connection.write_all(command.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_line(&mut answer).await?;
        messages += answer.trim_start_matches(':').trim().parse::<usize>()?;
    }
    Ok(messages)
}

#[tokio::test]
async fn a_thousand_jobs_are_done_once_each() -> Result<()> {
    let mut world = World::new().await?;
    let redis = Redis::start(world.dir.path()).await?;
    world.env.redis_url = redis.url();
    let smtp = Smtp::start(world.dir.path()).await?;
    world.env.smtp.port = smtp.port();
    world.env.mailbox_url = smtp.mailbox_url();
    let bucket = Bucket::start(&mut world).await?;
    let limit = MAX_UNDELIVERED.to_string();
    let settings = [
        ("EXPORT__REDIS__NAME", "bulk"),
        ("EXPORT__REDIS__MAX_UNDELIVERED", limit.as_str()),
        ("EXPORT__WORKER__JOBS", "8"),
    ];
    let api = world.api(&settings).await?;
    let nothing = json!({"filters": {"body": "no such line"}});
    let post = async || {
        let mut ids = Vec::new();
        for _ in 0..POSTED / AT_ONCE {
            ids.push(api.accepted(&nothing).await?);
        }
        anyhow::Ok(ids)
    };
    let posts: [_; AT_ONCE] = std::array::from_fn(|_| post());
    let mut posted = BTreeSet::new();
    for ids in futures::future::try_join_all(posts).await? {
        posted.extend(ids);
    }
    assert_eq!(posted.len(), POSTED);
    eventually("the last wake-up", async || {
        let there = undelivered(&redis).await?;
        assert!(there < MAX_UNDELIVERED + AT_ONCE, "{there} messages");
        Ok((there >= MAX_UNDELIVERED).then_some(()))
    })
    .await?;
    let like = posted.first().context("a job")?;
    let insert = format!(
        "WITH added AS (
             INSERT INTO export_jobs (job_id, user_id, organization_id, data_type, format, compression,
                                      start_time, end_time, filters, columns, options)
             SELECT gen_random_uuid(), user_id, organization_id, data_type, format, compression,
                    start_time, end_time, filters, columns, options
             FROM export_jobs, generate_series(1, {INSERTED}) WHERE job_id = $1::uuid
             RETURNING job_id, user_id
         )
         INSERT INTO export_events (job_id, kind, user_id) SELECT job_id, 'requested', user_id FROM added"
    );
    sqlx::query(sqlx::AssertSqlSafe(insert))
        .bind(like)
        .execute(&mut world.postgres().await?)
        .await?;

    let workers = (
        world.worker(&settings).await?,
        world.worker(&settings).await?,
    );
    let all = i64::try_from(POSTED)? + INSERTED;
    let done = "SELECT count(*) FROM export_jobs
                WHERE status = 'COMPLETED' AND token = 1 AND attempts = 1";
    let mails = "SELECT count(*) FROM export_notifications WHERE status = 'SENT'";
    for sql in [done, mails] {
        // All of them take longer than one wait has patience for.
        for step in 1..=10 {
            eventually(sql, async || {
                Ok((count(&world, sql).await? >= all * step / 10).then_some(()))
            })
            .await?;
        }
    }
    world.check_invariants().await?;
    bucket.settled(usize::try_from(all)?).await?;
    let owners = "SELECT count(*) FROM export_events WHERE kind = 'started'";
    assert_eq!(count(&world, owners).await?, all);
    assert_eq!(undelivered(&redis).await?, 0);
    workers.0.stop(SOON).await?;
    workers.1.stop(SOON).await
}
