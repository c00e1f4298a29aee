//! Objects in parts.

use anyhow::Context;
use axum::http::StatusCode;
use bytes::Bytes;
use domain::{Classify, ErrorClass};
use futures::{StreamExt, TryStreamExt, stream};
use sink::{Part, PartUploads, Sink, SinkError, UploadId, UploadedPart};

use crate::proxy::{Fate, Proxy};
use crate::support::{LAST_PART, MIB, download, file, fresh_config, fresh_sink, kind, parts};

#[tokio::test]
async fn a_file_in_parts_reads_back_equal() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let file = file(23 * MIB + 1);
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploads = PartUploads::new(&sink, "key", &upload);
    for part in parts(&sink, file.clone())? {
        uploads.submit(part).await?;
    }
    let uploaded = uploads.wait_up_to(LAST_PART).await?;
    let sizes: Vec<_> = uploaded
        .iter()
        .map(|part| (part.number, part.size_bytes))
        .collect();
    let (full, rest) = (5 * MIB as u64, 3 * MIB as u64 + 1);
    assert_eq!(sizes, [(1, full), (2, full), (3, full), (4, full + rest)]);
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
async fn a_resumed_file_reads_back_equal() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let file = file(30 * MIB);
    let (before, mut behind) = (file.slice(..13 * MIB), file.slice(13 * MIB..));
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploaded = Vec::new();

    // Two parts, and what is left of the bytes before the cut.
    let mut parts = Vec::new();
    let mut buffer = sink.part_buffer(1);
    let mut chunk = before;
    while !chunk.is_empty() {
        parts.extend(buffer.fill(&mut chunk)?);
    }
    parts.extend(buffer.cut());
    for part in parts {
        uploaded.push(sink.upload_part("key", &upload, part).await?);
    }
    // What the first run still uploaded is not of the file.
    let stray = Part {
        number: 3,
        bytes: Bytes::from_static(b"stray"),
    };
    sink.upload_part("key", &upload, stray).await?;

    let mut buffer = sink.part_buffer(1_000);
    while !behind.is_empty() {
        if let Some(part) = buffer.fill(&mut behind)? {
            uploaded.push(sink.upload_part("key", &upload, part).await?);
        }
    }
    let last = buffer.finish().context("there is a last part")?;
    uploaded.push(sink.upload_part("key", &upload, last).await?);
    let numbers: Vec<_> = uploaded.iter().map(|part| part.number).collect();
    assert_eq!(numbers, [1, 2, 1_000, 1_001, 1_002]);

    for _ in 0..2 {
        sink.complete_upload("key", &upload, &uploaded, file.len() as u64)
            .await?;
    }
    assert_eq!(download(&sink, "key").await?, file);
    Ok(())
}

#[tokio::test]
async fn parts_that_are_not_the_file_become_no_object() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let (upload, mut uploaded) = upload(&sink, 16 * MIB).await?;
    uploaded.remove(1);
    let error = sink
        .complete_upload("key", &upload, &uploaded, 16 * MIB as u64)
        .await
        .unwrap_err();
    assert!(matches!(error, SinkError::BrokenParts(_)), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(download(&sink, "key").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_part_that_was_replaced_is_not_completed() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let (upload, uploaded) = upload(&sink, 6 * MIB).await?;
    let other = Part {
        number: 1,
        bytes: Bytes::from(vec![0; 6 * MIB]),
    };
    sink.upload_part("key", &upload, other).await?;
    let error = sink
        .complete_upload("key", &upload, &uploaded, 6 * MIB as u64)
        .await
        .unwrap_err();
    assert!(matches!(error, SinkError::Denied { .. }), "{error:?}");
    assert!(download(&sink, "key").await.is_err());
    Ok(())
}

#[tokio::test]
async fn all_parts_of_an_upload_are_listed() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let upload = sink.create_upload("key", &kind()).await?;
    assert_eq!(sink.list_parts("key", &upload).await?, Some(vec![]));
    // More than a page, with gaps.
    let parts = (1..=1_001_u16).map(|number| Part {
        number: 7 * number,
        bytes: file(usize::from(number % 5) + 1),
    });
    let mut uploaded: Vec<_> = stream::iter(parts)
        .map(|part| sink.upload_part("key", &upload, part))
        .buffer_unordered(16)
        .try_collect()
        .await?;
    uploaded.sort_unstable_by_key(|part| part.number);
    assert_eq!(sink.list_parts("key", &upload).await?, Some(uploaded));
    Ok(())
}

#[tokio::test]
async fn an_upload_that_is_over_has_no_parts() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let (completed, uploaded) = upload(&sink, 6 * MIB).await?;
    let (aborted, _) = upload(&sink, 6 * MIB).await?;
    sink.complete_upload("key", &completed, &uploaded, 6 * MIB as u64)
        .await?;
    sink.abort_upload("key", &aborted).await?;
    for upload in [completed, aborted, "unknown".to_owned().into()] {
        assert_eq!(sink.list_parts("key", &upload).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_bucket_is_not_a_missing_upload() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    config.bucket = "no-such-bucket".to_owned();
    let sink = Sink::new(&config).await?;
    let upload = "id".to_owned().into();
    for error in [
        sink.list_parts("key", &upload).await.unwrap_err(),
        sink.abort_upload("key", &upload).await.unwrap_err(),
    ] {
        assert!(matches!(error, SinkError::Denied { .. }), "{error:?}");
    }
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
    let sink = fresh_sink().await?;
    let (upload, _) = upload(&sink, 6 * MIB).await?;
    for _ in 0..2 {
        sink.abort_upload("key", &upload).await?;
    }
    // Some servers know no other code for what they do not find.
    let mut config = fresh_config().await?;
    let body = "<Error><Code>NoSuchKey</Code></Error>";
    let proxy = Proxy::start(move |_| Fate::Refuse(StatusCode::NOT_FOUND, body)).await?;
    config.endpoint = Some(proxy.url.clone());
    let sink = Sink::new(&config).await?;
    sink.abort_upload("key", &upload).await?;
    assert_eq!(sink.list_parts("key", &upload).await?, None);
    Ok(())
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
