//! What the reader and the reader's mail program get.

use domain::{Classify, ErrorClass};
use insta::assert_snapshot;
use mail_parser::MessageParser;
use notify::Mailer;
use serde_json::json;

use crate::support::{Sample, Server};

#[tokio::test]
async fn a_file_that_is_ready() -> anyhow::Result<()> {
    let sample = Sample::new(
        json!({
            "filters": {"service_name": "do-not-tell"},
            "columns": ["timestamp", "severity_text", "service_name", "body"],
        }),
        1_670_000,
        74_800_000,
    );
    let server = Server::start().await?;
    server.mailer()?.send(&sample.completed()).await?;
    let mail = server.message().await?;
    assert_eq!(mail.to, ["ada@example.org"]);
    assert!(mail.html.contains(&sample.url.replace('&', "&#38;")));
    assert!(!mail.raw.contains("do-not-tell"), "no filter value is told");
    assert_snapshot!("completed.txt", mail.text);
    assert_snapshot!("completed.html", mail.html);
    Ok(())
}

#[tokio::test]
async fn a_file_without_the_rows_of_others() -> anyhow::Result<()> {
    let mut sample = Sample::new(json!({}), 1_000, 44_000);
    let fields = ["tenant_id", "workspace_id"];
    let narrowed_to = fields.map(|field| (field.to_owned(), "do-not-tell".to_owned()));
    sample.narrowed_to = narrowed_to.into_iter().collect();
    let server = Server::start().await?;
    server.mailer()?.send(&sample.completed()).await?;
    let mail = server.message().await?;
    for text in [mail.text, mail.html] {
        assert!(
            text.contains("the tenant_id, workspace_id of your token"),
            "{text}"
        );
        assert!(!text.contains("do-not-tell"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_without_rows() -> anyhow::Result<()> {
    let sample = Sample::new(
        json!({"format": "parquet", "end_time": "2026-01-01T00:00:00.000001Z"}),
        0,
        1_023,
    );
    let server = Server::start().await?;
    server.mailer()?.send(&sample.completed()).await?;
    assert_snapshot!("empty.txt", server.message().await?.text);
    Ok(())
}

#[tokio::test]
async fn files_that_are_ready() -> anyhow::Result<()> {
    let options = json!({"options": {"split": {"max_rows": 1_000_000}}});
    let sample = Sample::new(options, 1_000_000, 44_800_000);
    let linked = sample.linked(3);
    let server = Server::start().await?;
    server.mailer()?.send(&sample.split(3, &linked)).await?;
    let mail = server.message().await?;
    for (_, url) in &linked {
        assert!(mail.html.contains(&url.replace('&', "&#38;")));
    }
    assert_snapshot!("split.txt", mail.text);
    assert_snapshot!("split.html", mail.html);
    Ok(())
}

#[tokio::test]
async fn more_files_than_an_email_has_links_for() -> anyhow::Result<()> {
    let options = json!({"options": {"split": {"max_rows": 1_000_000}}});
    let sample = Sample::new(options, 1_000_000, 44_800_000);
    let server = Server::start().await?;
    let linked = sample.linked(2);
    server.mailer()?.send(&sample.split(1_000, &linked)).await?;
    let mail = server.message().await?;
    assert!(mail.html.contains("998 more"), "{}", mail.html);
    assert_snapshot!("many.txt", mail.text);
    Ok(())
}

#[tokio::test]
async fn an_export_that_failed() -> anyhow::Result<()> {
    let sample = Sample::new(json!({"format": "json", "compression": "zstd"}), 0, 0);
    let server = Server::start().await?;
    server.mailer()?.send(&sample.failed()).await?;
    let mail = server.message().await?;
    assert_snapshot!("failed.txt", mail.text);
    assert_snapshot!("failed.html", mail.html);
    Ok(())
}

#[tokio::test]
async fn the_headers() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut config = server.config();
    config.reply_to = Some("Help <help@example.com>".to_owned());
    let sample = Sample::new(json!({}), 1, 1);
    Mailer::new(&config)?.send(&sample.completed()).await?;
    let raw = server.message().await?.raw;
    let (headers, _) = raw.split_once("\r\n\r\n").expect("there is a body");
    let boundary = headers.split("boundary=\"").nth(1);
    let boundary = boundary.and_then(|rest| rest.split('"').next());
    assert_snapshot!(headers.replace(boundary.expect("there is one"), "…"));
    Ok(())
}

#[tokio::test]
async fn no_header_can_be_slipped_in() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut sample = Sample::new(json!({}), 1, 1);
    for to in [
        "ada@example.org\r\nBcc: eve@example.net",
        "ada@example.org, eve@example.net",
        "ada@example.org>\r\nRCPT TO:<eve@example.net",
        "",
    ] {
        sample.to = to.to_owned();
        let error = server
            .mailer()?
            .send(&sample.completed())
            .await
            .unwrap_err();
        assert_eq!(error.class(), ErrorClass::Permanent);
        assert!(!format!("{error:?}").contains("example"), "{error:?}");
    }
    assert_eq!(server.messages().await?, []);

    let mut config = server.config();
    config.from = "Data\r\nBcc: eve@example.net <exports@example.com>".to_owned();
    assert!(Mailer::new(&config).is_err());
    Ok(())
}

#[tokio::test]
async fn nothing_breaks_out_of_its_place() -> anyhow::Result<()> {
    let evil = "</td><script>alert('x')</script>";
    let mut sample = Sample::new(json!({"columns": [evil]}), 1, 1);
    sample.failure.message = evil.to_owned();
    sample.url = format!("https://example.com/\"><script>{evil}");
    let server = Server::start().await?;
    let linked = sample.linked(1);
    for email in [
        sample.completed(),
        sample.split(2, &linked),
        sample.failed(),
    ] {
        server.mailer()?.send(&email).await?;
    }
    for mail in server.messages().await? {
        assert!(!mail.html.contains("<script>"), "{}", mail.html);
    }
    Ok(())
}

#[tokio::test]
async fn names_of_other_alphabets_arrive() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut config = server.config();
    config.from = "Datenübergabe <exports@example.com>".to_owned();
    let sample = Sample::new(json!({}), 1, 1);
    Mailer::new(&config)?.send(&sample.completed()).await?;
    let raw = server.message().await?.raw;
    assert!(raw.is_ascii());
    let parsed = MessageParser::default()
        .parse(&raw)
        .expect("it is a message");
    let from = parsed.from().and_then(|from| from.first());
    assert_eq!(from.and_then(|from| from.name()), Some("Datenübergabe"));
    Ok(())
}
