//! `GET /api/v1/export/{id}/download`.

use std::time::Duration;

use axum::body::Bytes;
use domain::{ErrorCode, Failure, JobId};
use reqwest::StatusCode;
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

    let events = app.events(id).await;
    let last = events.last().unwrap();
    assert_eq!(last.kind, EventKind::Downloaded);
    assert_eq!(last.actor.as_ref().unwrap().user.as_uuid(), app.user);
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
