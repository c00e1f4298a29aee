//! Looking through the bucket removes what no job needs, and nothing else.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use e2e::{World, eventually};
use serde_json::json;
use sink::{ObjectKind, Sink};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bucket::Bucket;
use crate::exports::{Slow, events};

/// Looks all the time, at whatever is there.
const EAGER: [(&str, &str); 2] = [
    ("EXPORT__CLEANUP__SWEEP_INTERVAL_S", "0"),
    ("EXPORT__CLEANUP__SWEEP_MIN_AGE_S", "0"),
];

/// How many entries a page of a list has.
const PAGE: usize = 1_000;

fn kind() -> ObjectKind {
    ObjectKind {
        content_type: "text/csv".to_owned(),
        file_name: "logs.csv".to_owned(),
    }
}

async fn put(sink: &Sink, key: &str) -> Result<()> {
    Ok(sink
        .put_object(key, Bytes::from_static(b"stray"), &kind())
        .await?)
}

/// Begins uploads, or puts objects, many at a time.
async fn fill(sink: &Sink, keys: Vec<String>, uploads: bool) -> Result<()> {
    let mut tasks = JoinSet::new();
    for keys in keys.chunks(100).map(Arc::<[String]>::from) {
        let sink = sink.clone();
        tasks.spawn(async move {
            for key in &*keys {
                if uploads {
                    sink.create_upload(key, &kind()).await?;
                } else {
                    put(&sink, key).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Waits until nothing is to be removed and no object has this key.
async fn swept(world: &World, key: &str) -> Result<()> {
    let mut postgres = world.postgres().await?;
    eventually("that a stray is removed", async || {
        let removals: i64 = sqlx::query_scalar("SELECT count(*) FROM export_removals")
            .fetch_one(&mut postgres)
            .await?;
        Ok((removals == 0 && !world.objects().await?.contains_key(key)).then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_no_job_needs_is_removed_and_the_rest_stays() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&EAGER).await?;
    let id = api.accepted(&json!({})).await?;
    let job = api.completed(&id).await?;
    let [own] = &bucket.objects()?[..] else {
        anyhow::bail!("{:?}", bucket.objects())
    };

    let sink = world.sink().await?;
    let organization = world.ours.organization;
    let (unknown, stray) = (Uuid::new_v4(), format!("{organization}/{id}/77/stray.csv"));
    let mut others = [
        "notes.txt".to_owned(),
        format!("{organization}/{unknown}/1/logs.csv"),
        format!("backup/{id}/1/logs.csv"),
        format!("{organization}/{id}/latest/logs.csv"),
        format!("{organization}/{id}/1/old/logs.csv"),
    ];
    for key in &others {
        put(&sink, key).await?;
        sink.create_upload(key, &kind()).await?;
    }
    for key in [&stray, own] {
        sink.create_upload(key, &kind()).await?;
    }
    put(&sink, &stray).await?;
    swept(&world, &stray).await?;
    // A whole look at the bucket begins after all of it is there, and ends with this one.
    put(&sink, &stray).await?;
    swept(&world, &stray).await?;

    others.sort_unstable();
    let mut uploads = world.uploads().await?;
    uploads.sort_unstable();
    assert_eq!(uploads, others);
    let mut left: Vec<_> = world.objects().await?.into_keys().collect();
    left.retain(|key| key != own);
    assert_eq!(left, others);
    api.download(&job).await?;
    Ok(())
}

#[tokio::test]
async fn a_stray_behind_the_first_thousand_is_found() -> Result<()> {
    let mut world = World::new().await?;
    let _bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&EAGER).await?;
    let id = api.accepted(&json!({})).await?;
    api.completed(&id).await?;
    let sink = world.sink().await?;
    // They sort before any organization.
    let foreign = || (0..=PAGE).map(|number| format!("#/{number}")).collect();
    fill(&sink, foreign(), false).await?;
    fill(&sink, foreign(), true).await?;
    let stray = format!("{}/{id}/77/stray.csv", world.ours.organization);
    sink.create_upload(&stray, &kind()).await?;
    put(&sink, &stray).await?;
    eventually("the strays to be removed", async || {
        let object = world.objects().await?.contains_key(&stray);
        Ok((!object && !world.uploads().await?.contains(&stray)).then_some(()))
    })
    .await?;
    assert_eq!(world.uploads().await?.len(), PAGE + 1);
    assert_eq!(world.objects().await?.len(), PAGE + 2, "and the file");
    Ok(())
}

#[tokio::test]
async fn any_number_of_workers_may_look_at_once() -> Result<()> {
    let mut world = World::new().await?;
    world.seed("otel", &world.ours, 50).await?;
    let _bucket = Bucket::start(&mut world).await?;
    let api = world.api(&[]).await?;
    let _workers = (world.worker(&EAGER).await?, world.worker(&EAGER).await?);
    let _third = world.worker(&EAGER).await?;
    let first = api.accepted(&json!({})).await?;
    api.completed(&first).await?;
    let organization = world.ours.organization;
    let stray = |number| format!("{organization}/{first}/{number}/stray.csv");
    let sink = world.sink().await?;
    let mut jobs = Vec::new();
    for round in 0..5 {
        let strays = || (100 * round..100 * round + 30).map(stray).collect();
        fill(&sink, strays(), false).await?;
        fill(&sink, strays(), true).await?;
        jobs.push(api.accepted(&json!({})).await?);
    }
    for id in &jobs {
        api.download(&api.completed(id).await?).await?;
    }
    eventually("a bucket without strays", async || {
        Ok(world.violations().await?.is_empty().then_some(()))
    })
    .await
    .with_context(|| "strays")?;
    world.check_invariants().await
}

#[tokio::test]
async fn the_upload_of_a_running_job_stays() -> Result<()> {
    let journey = Slow::new().await?;
    let patient = [EAGER[0], ("EXPORT__CLEANUP__SWEEP_MIN_AGE_S", "1")];
    let _worker = journey.slow_worker(&patient).await?;
    let id = journey.begun(1).await?;
    let stray = format!("{}/{id}/77/stray.csv", journey.world.ours.organization);
    put(&journey.world.sink().await?, &stray).await?;
    swept(&journey.world, &stray).await?;
    assert_eq!(journey.bucket.uploads()?.len(), 1, "it goes on");
    journey.clickhouse.heal().await?;
    journey.check_completed(&id).await?;
    let events = events(&journey.world, &id).await?;
    assert_eq!(events, ["requested", "started", "completed"]);
    Ok(())
}
