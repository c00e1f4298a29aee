//! Parts on their way to the storage.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use domain::{Classify, ErrorCode};
use futures::poll;
use sink::{Part, PartUploads, Sink, SinkError, UploadedPart};
use tokio::sync::Semaphore;

use crate::proxy::{Fate, Proxy};
use crate::support::{LAST_PART, MIB, download, file, fresh_config, kind, parts};

#[tokio::test]
async fn uploads_stay_within_their_budget() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let gate = Arc::new(Semaphore::new(0));
    let (proxy, sink) = {
        let gate = gate.clone();
        let proxy = Proxy::start(move |request| {
            if is_part(request.uri.query()) {
                Fate::Wait(gate.clone())
            } else {
                Fate::Pass
            }
        })
        .await?;
        config.endpoint = Some(proxy.url.clone());
        (proxy, Sink::new(&config).await?)
    };
    let file = file(25 * MIB);
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploads = PartUploads::new(&sink, "key", &upload);
    let mut parts = parts(&sink, file.clone())?.into_iter();

    // The budget is two parts.
    for part in parts.by_ref().take(2) {
        uploads.submit(part).await?;
    }
    proxy.until_in_flight(2).await?;
    let third = uploads.submit(parts.next().expect("there are four"));
    let mut third = Box::pin(third);
    assert!(poll!(&mut third).is_pending());
    gate.add_permits(1);
    third.await?;
    proxy.until_in_flight(2).await?;

    gate.add_permits(10);
    for part in parts {
        uploads.submit(part).await?;
    }
    let uploaded = uploads.wait_up_to(LAST_PART).await?;
    sink.complete_upload("key", &upload, &uploaded, file.len() as u64)
        .await?;
    assert_eq!(download(&sink, "key").await?, file);
    Ok(())
}

#[tokio::test]
async fn dropping_the_uploads_stops_them() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let proxy = Proxy::start(|request| {
        if is_part(request.uri.query()) {
            Fate::Wait(Arc::new(Semaphore::new(0)))
        } else {
            Fate::Pass
        }
    })
    .await?;
    config.endpoint = Some(proxy.url.clone());
    let sink = Sink::new(&config).await?;
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploads = PartUploads::new(&sink, "key", &upload);
    for part in parts(&sink, file(15 * MIB))?.into_iter().take(2) {
        uploads.submit(part).await?;
    }
    proxy.until_in_flight(2).await?;
    drop(uploads);
    proxy.until_in_flight(0).await
}

#[tokio::test]
async fn parts_are_taken_in_the_order_of_the_file() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let gate = Arc::new(Semaphore::new(0));
    let closed = gate.clone();
    let proxy = Proxy::start(move |request| match request.uri.query() {
        Some(query) if query.contains("partNumber=5") => Fate::Wait(closed.clone()),
        _ => Fate::Pass,
    })
    .await?;
    config.endpoint = Some(proxy.url.clone());
    let mut uploads = uploads(&Sink::new(&config).await?, &[1, 2, 5, 6, 9]).await?;

    assert_eq!(numbers(&uploads.wait_up_to(2).await?), [1, 2]);
    assert_eq!(uploads.uploaded_up_to(4)?, Some(vec![]), "taken already");
    assert_eq!(uploads.uploaded_up_to(5)?, None);
    assert_eq!(uploads.uploaded_up_to(9)?, None);
    assert!(poll!(Box::pin(uploads.wait_up_to(6))).is_pending());

    gate.add_permits(1);
    assert_eq!(numbers(&uploads.wait_up_to(6).await?), [5, 6]);
    assert_eq!(numbers(&uploads.wait_up_to(LAST_PART).await?), [9]);
    Ok(())
}

#[tokio::test]
async fn a_part_that_failed_is_never_passed_over() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let proxy = Proxy::start(|request| match request.uri.query() {
        Some(query) if query.contains("partNumber=2") => Fate::Refuse(
            StatusCode::FORBIDDEN,
            "<Error><Code>AccessDenied</Code></Error>",
        ),
        _ => Fate::Pass,
    })
    .await?;
    config.endpoint = Some(proxy.url.clone());
    let mut uploads = uploads(&Sink::new(&config).await?, &[1, 2, 3]).await?;
    let error = uploads.wait_up_to(3).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StorageDenied);
    assert_eq!(uploads.uploaded_up_to(3)?, None);
    let error = uploads.wait_up_to(LAST_PART).await.unwrap_err();
    assert!(matches!(error, SinkError::BrokenParts(_)), "{error:?}");
    Ok(())
}

/// Submits small parts.
async fn uploads(sink: &Sink, numbers: &[u16]) -> anyhow::Result<PartUploads> {
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploads = PartUploads::new(sink, "key", &upload);
    for number in numbers {
        let bytes = Bytes::from_static(b"small");
        let number = *number;
        uploads.submit(Part { number, bytes }).await?;
    }
    Ok(uploads)
}

fn numbers(parts: &[UploadedPart]) -> Vec<u16> {
    parts.iter().map(|part| part.number).collect()
}

fn is_part(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.contains("partNumber="))
}
