//! Exports of several files: how they are asked for, shown and downloaded.

use std::time::Duration;

use axum::body::Bytes;
use domain::{ExportedFile, ExportedFiles, FileTotals, JobId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sink::ObjectKind;
use store::events::EventKind;
use store::files::WholeFile;
use store::jobs::links::{self, LinkToken};
use store::notifications::{self, Channel};

use crate::app::{Answer, TestApp, minimal};

fn body(split: &Value) -> Value {
    let mut body = minimal();
    body["options"] = json!({ "split": split });
    body
}

/// Makes a job of two files, which are in the bucket.
async fn completed(app: &TestApp) -> JobId {
    let id = app.create_of(&body(&json!({"max_rows": 1_000}))).await;
    let claim = app.claim(id).await;
    let kind = ObjectKind {
        content_type: "application/gzip".to_owned(),
        file_name: "x".to_owned(),
    };
    let mut files = Vec::new();
    for (number, rows) in [(1, 1_000), (2, 234)] {
        let bytes = Bytes::from(format!("the bytes of file {number}"));
        let file = ExportedFile {
            object_key: format!("exports/key-{number}"),
            size_bytes: bytes.len() as u64,
            rows,
            sha256: "ab".repeat(32),
        };
        let put = app.sink.put_object(&file.object_key, bytes, &kind);
        put.await.unwrap();
        files.push(WholeFile {
            number,
            file,
            upload: None,
        });
    }
    let totals = FileTotals {
        count: 2,
        size_bytes: files.iter().map(|file| file.file.size_bytes).sum(),
        rows: 1_234,
    };
    let mut connection = store::acquire(&app.pool).await.unwrap();
    store::files::seal(&mut connection, &claim, &files, &totals)
        .await
        .unwrap();
    let made = ExportedFiles::Several(totals);
    let hour = Duration::from_hours(1);
    store::jobs::complete(&mut connection, &claim, &made, "s3://b/k/", hour)
        .await
        .unwrap();
    id
}

#[tokio::test]
async fn what_is_wrong_with_a_split_is_pointed_at() {
    let app = TestApp::start().await;
    for (split, pointer) in [
        (json!("often"), "/options/split"),
        (json!({}), "/options/split"),
        (
            json!({"max_rows": 5_000, "max_bytes": 5_000_000}),
            "/options/split",
        ),
        (json!({"max_rows": 999}), "/options/split/max_rows"),
        (json!({"max_bytes": 1_000}), "/options/split/max_bytes"),
        (
            json!({"max_rows": 1_000, "parts": 2}),
            "/options/split/parts",
        ),
    ] {
        let answer = app.post(&body(&split)).await;
        answer.assert_problem(422, "invalid_request");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{split}");
    }
    let split = json!({"max_bytes": 1_048_576});
    let answer = app.post(&body(&split)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    assert_eq!(answer.body["options"]["split"], split);
    assert_eq!(answer.body["files"], Value::Null);
}

#[tokio::test]
async fn the_job_says_how_many_files_there_are_and_the_manifest_which() {
    let app = TestApp::start().await;
    let id = completed(&app).await;
    let job = app.get(&format!("/api/v1/export/{id}")).await;
    let shown = &job.body;
    assert_eq!(
        shown["files"],
        json!({"count": 2, "size_bytes": 38, "rows": 1_234})
    );
    assert_eq!(shown["file"], Value::Null);
    assert_eq!(shown["download_url"], Value::Null);
    let manifest = app.get(shown["manifest_url"].as_str().unwrap()).await;
    assert_eq!(manifest.status, StatusCode::OK, "{}", manifest.body);
    insta::assert_json_snapshot!(manifest.body, {
        ".job_id" => "[job]", ".organization_id" => "[organization]", ".requested_at" => "[time]",
        ".files[].download_url" => insta::dynamic_redaction(move |url, _| {
            url.as_str().unwrap_or_default().replace(&id.to_string(), "[job]")
        }),
    });
}

#[tokio::test]
async fn each_file_is_downloaded_by_its_number() {
    let app = TestApp::start().await;
    let id = completed(&app).await;
    let path = format!("/api/v1/export/{id}/download");
    for number in [1, 2] {
        let answer = app.get(&format!("{path}?file={number}")).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.body);
        let file = reqwest::get(answer.header("location")).await.unwrap();
        let disposition = file.headers()["content-disposition"].to_str().unwrap();
        assert_eq!(
            disposition,
            format!(
                "attachment; filename=\"logs_20260101T000000Z_20260102T000000Z-000{number}.csv.gz\""
            )
        );
        let expected = format!("the bytes of file {number}");
        assert_eq!(file.bytes().await.unwrap(), expected);
    }
    let before = app.events(id).await;
    let downloads = before
        .iter()
        .filter(|event| event.kind == EventKind::Downloaded);
    assert_eq!(downloads.count(), 2);

    let several = app.get(&path).await;
    several.assert_problem(409, "several_files");
    insta::assert_json_snapshot!(several.body, {".request_id" => "[id]"});
    let missing = app.get(&format!("{path}?file=3")).await;
    missing.assert_problem(404, "file_not_found");
    insta::assert_json_snapshot!(missing.body, {".request_id" => "[id]"});
    for wrong in ["0", "-1", "1.0", "first", "99999999999", ""] {
        let answer = app.get(&format!("{path}?file={wrong}")).await;
        answer.assert_problem(422, "invalid_request");
        assert_eq!(answer.body["errors"][0]["pointer"], "/file", "{wrong}");
    }
    assert_eq!(app.events(id).await, before);
}

#[tokio::test]
async fn the_only_file_of_an_export_is_the_first() {
    let app = TestApp::start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let path = format!("/api/v1/export/{id}/download");
    let first = app.get(&format!("{path}?file=1")).await;
    assert_eq!(first.status, StatusCode::FOUND, "{}", first.body);
    let second = app.get(&format!("{path}?file=2")).await;
    second.assert_problem(404, "file_not_found");
}

#[tokio::test]
async fn a_link_of_an_email_leads_to_the_file_that_it_names() {
    let app = TestApp::start().await;
    completed(&app).await;
    let mut connection = store::acquire(&app.pool).await.unwrap();
    let lease = Duration::from_mins(1);
    let mail = notifications::claim_due(&mut connection, Channel::Email, lease, &[]).await;
    let mail = mail.unwrap().expect("an e-mail is due");
    let token = LinkToken::new([1; 32]);
    links::add(&mut connection, &mail, &token).await.unwrap();
    let link = format!("/api/v1/links/{}", token.as_str());
    let follow = |query: &str| Answer::to(app.anonymous(Method::GET, &format!("{link}{query}")));

    // Some mail programs add parameters of their own.
    for query in ["?file=2", "?utm_source=mail&file=2"] {
        let answer = follow(query).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{query}");
        let file = reqwest::get(answer.header("location")).await.unwrap();
        assert_eq!(file.bytes().await.unwrap(), "the bytes of file 2");
    }
    follow("").await.assert_problem(409, "several_files");
    let nowhere = follow("?file=3").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert_eq!(nowhere.header("content-type"), "text/html; charset=utf-8");
}
