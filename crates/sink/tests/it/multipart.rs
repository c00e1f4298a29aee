//! Objects in parts.

use std::sync::Arc;

use axum::http::StatusCode;
use domain::{Classify, ErrorClass};
use futures::poll;
use sink::{PartUploads, Sink, SinkError, UploadId, UploadedPart};
use tokio::sync::Semaphore;

use crate::proxy::{Fate, Proxy};
use crate::support::{MIB, download, file, fresh_config, fresh_sink, kind, parts};

#[tokio::test]
async fn a_file_in_parts_reads_back_equal() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let file = file(23 * MIB + 1);
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploads = PartUploads::new(&sink, "key", &upload);
    for part in parts(&sink, file.clone())? {
        uploads.submit(part).await?;
    }
    let uploaded = uploads.finish().await?;
    let sizes: Vec<_> = uploaded
        .iter()
        .map(|part| (part.number, part.size_bytes))
        .collect();
    let (full, rest) = (5 * MIB as u64, 3 * MIB as u64 + 1);
    assert_eq!(
        sizes,
        [(1, full), (2, full), (3, full), (4, full), (5, rest)]
    );
    sink.complete_upload("key", &upload, &uploaded, file.len() as u64)
        .await?;
    assert_eq!(download(&sink, "key").await?, file);
    Ok(())
}

#[tokio::test]
async fn completing_again_is_safe() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let (upload, uploaded) = upload(&sink, 6 * MIB).await?;
    for _ in 0..2 {
        sink.complete_upload("key", &upload, &uploaded, 6 * MIB as u64)
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn parts_with_a_gap_become_no_object() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let (upload, mut uploaded) = upload(&sink, 12 * MIB).await?;
    uploaded.remove(1);
    let size = uploaded.iter().map(|part| part.size_bytes).sum();
    let error = sink
        .complete_upload("key", &upload, &uploaded, size)
        .await
        .unwrap_err();
    assert!(matches!(error, SinkError::BrokenParts(_)), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(download(&sink, "key").await.is_err());
    Ok(())
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let (upload, uploaded) = upload(&sink, 6 * MIB).await?;
    sink.abort_upload("key", &upload).await?;

    for part in parts(&sink, file(6 * MIB))? {
        assert!(sink.upload_part("key", &upload, part).await.is_err());
    }
    assert!(
        sink.complete_upload("key", &upload, &uploaded, 6 * MIB as u64)
            .await
            .is_err()
    );
    assert!(download(&sink, "key").await.is_err());
    Ok(())
}

#[tokio::test]
async fn an_upload_that_is_gone_may_be_aborted() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    // The server of the tests has another answer than S3's.
    let body = "<Error><Code>NoSuchUpload</Code></Error>";
    let proxy = Proxy::start(move |_| Fate::Refuse(StatusCode::NOT_FOUND, body)).await?;
    config.endpoint = Some(proxy.url.clone());
    let sink = Sink::new(&config).await?;
    sink.abort_upload("key", &"gone".to_owned().into()).await?;
    Ok(())
}

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
    let file = file(20 * MIB);
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
    let uploaded = uploads.finish().await?;
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
    for part in parts(&sink, file(6 * MIB))? {
        uploads.submit(part).await?;
    }
    proxy.until_in_flight(2).await?;
    drop(uploads);
    proxy.until_in_flight(0).await
}

/// Uploads a file in parts, one after the other.
async fn upload(sink: &Sink, size: usize) -> anyhow::Result<(UploadId, Vec<UploadedPart>)> {
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploaded = Vec::new();
    for part in parts(sink, file(size))? {
        uploaded.push(sink.upload_part("key", &upload, part).await?);
    }
    Ok((upload, uploaded))
}

fn is_part(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.contains("partNumber="))
}
