//! What is made of a storage that refuses, is away or loses its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use domain::{Classify, ErrorClass, ErrorCode};
use sink::{PartUploads, S3Config, Sink, SinkError};
use tokio::sync::Semaphore;

use crate::proxy::{Fate, Proxy};
use crate::support::{LAST_PART, MIB, download, file, fresh_config, kind, parts};

const SLOW_DOWN: &str = "<Error><Code>SlowDown</Code><Message>Reduce it.</Message></Error>";

fn verdict(error: &SinkError) -> (ErrorClass, ErrorCode) {
    (error.class(), error.code())
}

const DENIED: (ErrorClass, ErrorCode) = (ErrorClass::Permanent, ErrorCode::StorageDenied);
const UNAVAILABLE: (ErrorClass, ErrorCode) = (ErrorClass::TRANSIENT, ErrorCode::StorageUnavailable);

async fn put(config: &S3Config) -> Result<(), SinkError> {
    Sink::new(config)
        .await?
        .put_object("key", file(10), &kind())
        .await
}

async fn every_way_in(config: &S3Config) -> anyhow::Result<Vec<SinkError>> {
    let sink = Sink::new(config).await?;
    let refused = "every request is refused";
    Ok(vec![
        sink.ping().await.expect_err(refused),
        sink.put_object("key", file(10), &kind())
            .await
            .expect_err(refused),
        sink.create_upload("key", &kind()).await.expect_err(refused),
    ])
}

#[tokio::test]
async fn a_wrong_secret_is_permanent() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    config.secret_access_key = Some("wrong".to_owned().into());
    for error in every_way_in(&config).await? {
        assert_eq!(verdict(&error), DENIED, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_key_is_permanent() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    config.access_key_id = Some("nobody".to_owned());
    for error in every_way_in(&config).await? {
        assert_eq!(verdict(&error), DENIED, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_bucket_is_permanent() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    Sink::new(&config).await?.ping().await?;
    config.bucket = format!("not-{}", config.bucket);
    let sink = Sink::new(&config).await?;
    // In the server of the tests, an upload would create the bucket.
    for result in [sink.ping().await, sink.delete_object("key").await] {
        let error = result.unwrap_err();
        assert_eq!(verdict(&error), DENIED, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_configuration_is_told() -> anyhow::Result<()> {
    type Change = fn(&mut S3Config);
    let good = fresh_config().await?;
    let broken: [(Change, &str); 4] = [
        (|config| config.secret_access_key = None, "access_key_id"),
        (|config| config.part_size_bytes = MIB, "part_size_bytes"),
        (
            |config| config.part_size_bytes = 65 * MIB,
            "part_size_bytes",
        ),
        (|config| config.max_attempts = 0, "max_attempts"),
    ];
    for (change, key) in broken {
        let mut config = good.clone();
        change(&mut config);
        let error = Sink::new(&config).await.unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn two_503_in_a_row_do_not_matter() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let proxy = Proxy::start(first(2, || {
        Fate::Refuse(StatusCode::SERVICE_UNAVAILABLE, SLOW_DOWN)
    }))
    .await?;
    config.endpoint = Some(proxy.url.clone());
    put(&config).await?;
    assert_eq!(proxy.requests(), 3);
    assert_eq!(download(&Sink::new(&config).await?, "key").await?, file(10));
    Ok(())
}

#[tokio::test]
async fn a_storage_that_stays_away_is_transient() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let proxy = Proxy::start(|_| Fate::Refuse(StatusCode::SERVICE_UNAVAILABLE, SLOW_DOWN)).await?;
    config.endpoint = Some(proxy.url.clone());
    let retry_after = Some(Duration::from_secs(7));
    let expected = (
        ErrorClass::Transient { retry_after },
        ErrorCode::StorageUnavailable,
    );
    assert_eq!(verdict(&put(&config).await.unwrap_err()), expected);
    assert_eq!(proxy.requests(), 3);

    config.endpoint = Some("http://127.0.0.1:1".parse()?);
    assert_eq!(verdict(&put(&config).await.unwrap_err()), UNAVAILABLE);
    Ok(())
}

#[tokio::test]
async fn a_storage_that_never_answers_is_transient() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let proxy = Proxy::start(|_| Fate::Wait(Arc::new(Semaphore::new(0)))).await?;
    config.endpoint = Some(proxy.url.clone());
    config.max_attempts = 2;
    for (read, attempt) in [(50, 60_000), (60_000, 50)] {
        config.read_timeout_ms = read;
        config.attempt_timeout_ms = attempt;
        assert_eq!(verdict(&put(&config).await.unwrap_err()), UNAVAILABLE);
    }
    Ok(())
}

#[tokio::test]
async fn an_object_that_is_too_large_is_told_so() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let body = "<Error><Code>EntityTooLarge</Code></Error>";
    let proxy = Proxy::start(move |_| Fate::Refuse(StatusCode::BAD_REQUEST, body)).await?;
    config.endpoint = Some(proxy.url.clone());
    let expected = (ErrorClass::Permanent, ErrorCode::TooLarge);
    assert_eq!(verdict(&put(&config).await.unwrap_err()), expected);
    Ok(())
}

#[tokio::test]
async fn a_part_that_fails_fails_the_file() -> anyhow::Result<()> {
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
    let sink = Sink::new(&config).await?;
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploads = PartUploads::new(&sink, "key", &upload);
    let mut result = Ok(());
    for part in parts(&sink, file(30 * MIB))? {
        result = uploads.submit(part).await;
        if result.is_err() {
            break;
        }
    }
    // Five parts in a budget of two: the error is seen long before the end.
    assert_eq!(verdict(&result.unwrap_err()), DENIED);
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_to_complete_does_not_matter() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let proxy = Proxy::start(|request| match request.method {
        Method::POST if is_complete(request.uri.query()) => Fate::LoseAnswer,
        _ => Fate::Pass,
    })
    .await?;
    config.endpoint = Some(proxy.url.clone());
    let sink = Sink::new(&config).await?;
    complete(&sink, 6 * MIB).await?;
    assert_eq!(download(&sink, "key").await?, file(6 * MIB));
    Ok(())
}

#[tokio::test]
async fn an_error_in_a_200_is_an_error() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let body = "<Error><Code>InternalError</Code></Error>";
    let proxy = Proxy::start(move |request| match request.method {
        Method::POST if is_complete(request.uri.query()) => Fate::Refuse(StatusCode::OK, body),
        _ => Fate::Pass,
    })
    .await?;
    config.endpoint = Some(proxy.url.clone());
    let error = complete(&Sink::new(&config).await?, 6 * MIB)
        .await
        .unwrap_err();
    assert!(
        matches!(error.class(), ErrorClass::Transient { .. }),
        "{error:?}"
    );
    assert_eq!(error.code(), ErrorCode::StorageUnavailable);
    Ok(())
}

async fn complete(sink: &Sink, size: usize) -> Result<(), SinkError> {
    let upload = sink.create_upload("key", &kind()).await?;
    let mut uploads = PartUploads::new(sink, "key", &upload);
    for part in parts(sink, file(size)).expect("it fits") {
        uploads.submit(part).await?;
    }
    let uploaded = uploads.wait_up_to(LAST_PART).await?;
    sink.complete_upload("key", &upload, &uploaded, size as u64)
        .await
}

#[tokio::test]
async fn lists_that_fail_are_transient() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let proxy = Proxy::start(|_| Fate::Refuse(StatusCode::SERVICE_UNAVAILABLE, SLOW_DOWN)).await?;
    config.endpoint = Some(proxy.url.clone());
    config.max_attempts = 1;
    let sink = Sink::new(&config).await?;
    for error in [
        sink.list_objects("", None).await.unwrap_err(),
        sink.list_uploads("", None).await.unwrap_err(),
        sink.list_parts("key", &"id".to_owned().into())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::StorageUnavailable);
        let transient = matches!(error.class(), ErrorClass::Transient { .. });
        assert!(transient, "{error:?}");
    }
    Ok(())
}

fn is_complete(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.contains("uploadId="))
}

/// Gives the first requests a fate of their own.
fn first(
    count: usize,
    fate: impl Fn() -> Fate + Send + Sync,
) -> impl Fn(&axum::http::request::Parts) -> Fate + Send + Sync {
    let seen = AtomicUsize::new(0);
    move |_| {
        if seen.fetch_add(1, Ordering::SeqCst) < count {
            fate()
        } else {
            Fate::Pass
        }
    }
}
