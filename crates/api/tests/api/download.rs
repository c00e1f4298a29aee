//! `GET /api/v1/export/{id}/download`.

use std::time::Duration;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use domain::{Clock, ErrorCode, Failure, JobId, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sink::ObjectKind;
use store::events::EventKind;
use uuid::Uuid;

use crate::app::{Answer, TestApp};

async fn download(app: &TestApp, id: JobId) -> Answer {
    app.get(&format!("/api/v1/export/{id}/download")).await
}

#[tokio::test]
async fn the_link_leads_to_the_file_and_is_audited() {
    let app = TestApp::start().await;
    let key = format!("exports/{}", Uuid::new_v4());
    let stored = ObjectKind {
        content_type: "application/gzip".to_owned(),
        file_name: "x".to_owned(),
    };
    app.sink
        .put_object(&key, Bytes::from_static(b"bytes"), &stored)
        .await
        .unwrap();
    let id = app.completed(&key, Duration::from_hours(1)).await;

    let answer = download(&app, id).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");

    let file = reqwest::get(answer.header("location")).await.unwrap();
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(
        file.headers()["content-disposition"],
        "attachment; filename=\"logs_20260101T000000Z_20260102T000000Z.csv.gz\""
    );
    assert_eq!(file.headers()["content-type"], "application/gzip");
    assert_eq!(file.bytes().await.unwrap(), "bytes");

    // A client that only wants the headers follows the link with HEAD.
    let path = format!("/api/v1/export/{id}/download");
    let head = Answer::to(app.request(Method::HEAD, &path)).await;
    let client = reqwest::Client::new();
    let file = client.head(head.header("location")).send().await.unwrap();
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(file.headers()["content-length"], "5");

    let events = app.events(id).await;
    let last = events.last().unwrap();
    assert_eq!(last.kind, EventKind::Downloaded);
    let actor = last.actor.as_ref().unwrap();
    assert_eq!(actor.user, Some(app.user.into()));
}

#[tokio::test]
async fn a_client_may_take_the_link_instead_of_being_redirected() {
    let app = TestApp::start().await;
    let key = format!("exports/{}", Uuid::new_v4());
    let stored = ObjectKind {
        content_type: "application/gzip".to_owned(),
        file_name: "x".to_owned(),
    };
    app.sink
        .put_object(&key, Bytes::from_static(b"bytes"), &stored)
        .await
        .unwrap();
    let id = app.completed(&key, Duration::from_hours(1)).await;
    let path = format!("/api/v1/export/{id}/download");

    let begin = SystemClock.now();
    let answer = app.get(&format!("{path}?redirect=false")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("location"), "");
    let file = reqwest::get(answer.body["url"].as_str().unwrap()).await;
    assert_eq!(file.unwrap().bytes().await.unwrap(), "bytes");
    let end: DateTime<Utc> = answer.body["expires_at"].as_str().unwrap().parse().unwrap();
    assert!((begin..=SystemClock.now()).contains(&(end - Duration::from_mins(5))));
    insta::assert_json_snapshot!(answer.body, {
        ".url" => "[url]", ".expires_at" => "[time]",
    });
    assert_eq!(
        app.events(id).await.last().unwrap().kind,
        EventKind::Downloaded
    );

    let redirected = app.get(&format!("{path}?redirect=true")).await;
    assert_eq!(redirected.status, StatusCode::FOUND);
    let answer = app.get(&format!("{path}?redirect=no")).await;
    answer.assert_problem(422, "invalid_request");
    assert_eq!(answer.body["errors"][0]["pointer"], "/redirect");
}

#[tokio::test]
async fn asking_for_the_headers_is_no_download() {
    let app = TestApp::start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let before = app.events(id).await;
    let head = |query: &str| {
        let path = format!("/api/v1/export/{id}/download{query}");
        Answer::to(app.request(Method::HEAD, &path))
    };
    let redirected = head("").await;
    assert_eq!(redirected.status, StatusCode::FOUND);
    assert!(redirected.header("location").contains("X-Amz-Signature"));
    assert_eq!(head("?redirect=false").await.status, StatusCode::OK);
    assert_eq!(app.events(id).await, before);
    let pending = app.create().await;
    let path = format!("/api/v1/export/{pending}/download");
    let head = Answer::to(app.request(Method::HEAD, &path)).await;
    assert_eq!(head.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_manifest_says_what_the_file_is() {
    let app = TestApp::start().await;
    let id = app
        .completed("organization/key.csv.gz", Duration::from_hours(1))
        .await;
    let answer = app.get(&format!("/api/v1/export/{id}/manifest")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["job_id"], json!(id));
    assert_eq!(answer.body["organization_id"], json!(app.organization));
    insta::assert_json_snapshot!(answer.body, {
        ".job_id" => "[job id]", ".organization_id" => "[organization id]",
        ".requested_at" => "[time]", ".files[0].download_url" => "[url]",
    });
    let shown = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(answer.body["requested_at"], shown.body["created_at"]);
    for member in ["name", "size_bytes", "rows", "sha256"] {
        assert_eq!(answer.body[member], shown.body["file"][member]);
    }
    let kinds: Vec<_> = app
        .events(id)
        .await
        .iter()
        .map(|event| event.kind)
        .collect();
    assert!(!kinds.contains(&EventKind::Downloaded), "{kinds:?}");
}

#[tokio::test]
async fn there_is_no_manifest_without_a_file() {
    let app = TestApp::start().await;
    for (id, status, code) in [
        (app.cancelled().await, 409, "export_cancelled"),
        (
            app.failed(Failure::from(ErrorCode::TooLarge)).await,
            409,
            "export_failed",
        ),
        (app.completed("key", Duration::ZERO).await, 410, "expired"),
        (app.create().await, 409, "not_ready"),
    ] {
        let answer = app.get(&format!("/api/v1/export/{id}/manifest")).await;
        answer.assert_problem(status, code);
    }
}

#[tokio::test]
async fn a_job_that_is_not_done_has_no_file_yet() {
    let app = TestApp::start().await;
    let pending = download(&app, app.create().await).await;
    pending.assert_problem(409, "not_ready");
    assert_eq!(pending.body["job_status"], "PENDING");
    assert_eq!(pending.header("retry-after"), "2");
    insta::assert_json_snapshot!(pending.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn a_job_that_runs_has_no_file_yet() {
    let app = TestApp::start().await;
    let running = download(&app, app.claimed().await.job.id).await;
    running.assert_problem(409, "not_ready");
    assert_eq!(running.body["job_status"], "PROCESSING");
}

#[tokio::test]
async fn a_failed_job_has_no_file() {
    let app = TestApp::start().await;
    let id = app.failed(Failure::from(ErrorCode::TooLarge)).await;
    let answer = download(&app, id).await;
    answer.assert_problem(409, "export_failed");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn a_cancelled_job_has_no_file() {
    let app = TestApp::start().await;
    let answer = download(&app, app.cancelled().await).await;
    answer.assert_problem(409, "export_cancelled");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn an_expired_file_is_gone() {
    let app = TestApp::start().await;
    let overdue = app.completed("key", Duration::ZERO).await;
    download(&app, overdue).await.assert_problem(410, "expired");
    sqlx::query("UPDATE export_jobs SET status = 'EXPIRED' WHERE job_id = $1")
        .bind(overdue.as_uuid())
        .execute(&app.pool)
        .await
        .unwrap();
    let answer = download(&app, overdue).await;
    answer.assert_problem(410, "expired");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
    let kinds: Vec<_> = app
        .events(overdue)
        .await
        .iter()
        .map(|event| event.kind)
        .collect();
    assert!(!kinds.contains(&EventKind::Downloaded), "{kinds:?}");
}
