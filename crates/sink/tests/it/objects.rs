//! Whole objects.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;

use sink::{LinkMethod, Sink};

use crate::support::{MIB, download, file, fresh_config, fresh_sink, get, kind};

#[tokio::test]
async fn what_is_put_can_be_downloaded() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    for body in [file(MIB), Bytes::new()] {
        sink.put_object("a/b.csv.gz", body.clone(), &kind()).await?;
        assert_eq!(download(&sink, "a/b.csv.gz").await?, body);
    }
    Ok(())
}

#[tokio::test]
async fn checksums_can_be_sent_along() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    config.checksums = true;
    let sink = Sink::new(&config).await?;
    sink.put_object("key", file(MIB), &kind()).await?;
    assert_eq!(download(&sink, "key").await?, file(MIB));
    Ok(())
}

#[tokio::test]
async fn a_deleted_object_is_gone_and_may_be_deleted_again() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    sink.put_object("key", file(10), &kind()).await?;
    let link = sink
        .presign(LinkMethod::Get, "key", &kind(), Duration::from_mins(1))
        .await?;
    assert_eq!(get(&link).await?.status(), StatusCode::OK);
    assert!(sink.has_object("key").await?);
    sink.delete_object("key").await?;
    assert_eq!(get(&link).await?.status(), StatusCode::NOT_FOUND);
    assert!(!sink.has_object("key").await?);
    sink.delete_object("key").await?;
    Ok(())
}
