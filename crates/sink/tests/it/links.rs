//! Links: what a browser is told, how long they live, and for which host they are signed.

use std::time::{Duration, Instant};

use anyhow::ensure;
use reqwest::{StatusCode, header};
use sink::{LinkMethod, ObjectKind, Sink};

use crate::proxy::{Fate, Proxy};
use crate::support::{browser, file, fresh_config, fresh_sink, get, kind};

#[tokio::test]
async fn a_browser_saves_the_file_under_its_name() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    sink.put_object("key", file(10), &kind()).await?;
    for (name, disposition) in [
        ("logs.csv.gz", "attachment; filename=\"logs.csv.gz\""),
        (
            "\"ü\".csv",
            "attachment; filename=\"___.csv\"; filename*=UTF-8''%22%C3%BC%22.csv",
        ),
    ] {
        let kind = ObjectKind {
            file_name: name.to_owned(),
            ..kind()
        };
        let link = sink
            .presign(LinkMethod::Get, "key", &kind, Duration::from_mins(1))
            .await?;
        let answer = get(&link).await?.error_for_status()?;
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/gzip");
        assert_eq!(answer.headers()[header::CONTENT_DISPOSITION], disposition);
        assert!(!answer.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(answer.bytes().await?, file(10));
    }
    Ok(())
}

#[tokio::test]
async fn a_link_is_for_one_method() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    sink.put_object("key", file(10), &kind()).await?;
    let life = Duration::from_mins(1);
    let head = sink.presign(LinkMethod::Head, "key", &kind(), life).await?;
    assert_eq!(head.expires_in, life);
    let answer = browser().head(&head.url).send().await?.error_for_status()?;
    assert_eq!(answer.headers()[header::CONTENT_LENGTH], "10");
    assert_eq!(get(&head).await?.status(), StatusCode::FORBIDDEN);
    let link = sink.presign(LinkMethod::Get, "key", &kind(), life).await?;
    let answer = browser().head(&link.url).send().await?;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn a_link_ends() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    sink.put_object("key", file(10), &kind()).await?;
    let link = sink
        .presign(LinkMethod::Get, "key", &kind(), Duration::from_secs(1))
        .await?;
    assert_eq!(link.expires_in, Duration::from_secs(1));
    let deadline = Instant::now() + Duration::from_secs(20);
    while get(&link).await?.status() != StatusCode::FORBIDDEN {
        ensure!(Instant::now() < deadline, "the link still works");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_link_cannot_be_changed() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    sink.put_object("key", file(10), &kind()).await?;
    sink.put_object("kez", file(10), &kind()).await?;
    let mut link = sink
        .presign(LinkMethod::Get, "key", &kind(), Duration::from_mins(1))
        .await?;
    link.url = link.url.replace("/key?", "/kez?");
    assert_eq!(get(&link).await?.status(), StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn the_shortest_limit_decides_how_long() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let month = Duration::from_hours(30 * 24);
    for (configured, asked, expected) in [
        (3_600, Duration::from_mins(1), 60),
        (3_600, month, 3_600),
        (month.as_secs(), month, 7 * 24 * 3_600),
    ] {
        config.presign_ttl_s = configured;
        let link = Sink::new(&config)
            .await?
            .presign(LinkMethod::Get, "key", &kind(), asked)
            .await?;
        assert_eq!(link.expires_in.as_secs(), expected);
        let parameter = format!("X-Amz-Expires={expected}&");
        assert!(link.url.contains(&parameter), "{}", link.url);
    }
    Ok(())
}

#[tokio::test]
async fn a_link_is_signed_for_the_public_endpoint() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    let public = Proxy::start(|_| Fate::Pass).await?;
    config.public_endpoint = Some(public.url.clone());
    let sink = Sink::new(&config).await?;
    sink.put_object("key", file(10), &kind()).await?;
    assert_eq!(public.requests(), 0);

    let link = sink
        .presign(LinkMethod::Get, "key", &kind(), Duration::from_mins(1))
        .await?;
    assert!(link.url.starts_with(public.url.as_str()), "{}", link.url);
    assert_eq!(
        get(&link).await?.error_for_status()?.bytes().await?,
        file(10)
    );
    assert_eq!(public.requests(), 1);
    Ok(())
}

#[tokio::test]
async fn nothing_secret_is_in_debug_output() -> anyhow::Result<()> {
    let mut config = fresh_config().await?;
    config.secret_access_key = Some("do-not-tell".to_owned().into());
    let sink = Sink::new(&config).await?;
    let link = sink
        .presign(LinkMethod::Get, "key", &kind(), Duration::from_mins(1))
        .await?;
    let output = format!("{config:?} {sink:?} {link:?}");
    assert!(!output.contains("do-not-tell") && !output.contains("X-Amz-Signature"));
    Ok(())
}
