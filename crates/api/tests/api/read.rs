//! `GET /api/v1/export/{id}`.

use std::time::Duration;

use domain::{ErrorCode, Failure, Progress};
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use crate::app::{Answer, TestApp};
use crate::tokens::{claims, hs256};

#[tokio::test]
async fn progress_is_shown_while_a_job_runs() {
    let app = TestApp::start().await;
    let claim = app.claimed().await;
    let mut connection = store::acquire(&app.pool).await.unwrap();
    let progress = Progress::new(42).unwrap();
    store::jobs::progress(&mut connection, &claim, 420, Some(1000), progress)
        .await
        .unwrap();
    let answer = app.get(&format!("/api/v1/export/{}", claim.job.id)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("retry-after"), "2");
    assert_eq!(answer.header("cache-control"), "no-store");
    insta::assert_json_snapshot!(answer.body, {
        ".job_id" => "[job id]", ".user_id" => "[user id]", ".created_at" => "[time]", ".updated_at" => "[time]",
        ".started_at" => "[time]",
    });
}

#[tokio::test]
async fn a_completed_job_has_a_file_and_a_link() {
    let app = TestApp::start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let answer = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("retry-after"), "");
    assert_eq!(
        answer.body["download_url"],
        format!("/api/v1/export/{id}/download")
    );
    insta::assert_json_snapshot!(answer.body, {
        ".job_id" => "[job id]", ".user_id" => "[user id]", ".created_at" => "[time]", ".updated_at" => "[time]",
        ".started_at" => "[time]", ".completed_at" => "[time]", ".expires_at" => "[time]",
        ".download_url" => "[path]",
        ".manifest_url" => "[path]",
    });
}

#[tokio::test]
async fn a_failed_job_says_why_and_no_more() {
    let app = TestApp::start().await;
    let id = app.failed(Failure::from(ErrorCode::SourceLimit)).await;
    let answer = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(answer.body["status"], "FAILED");
    assert!(!answer.body.to_string().contains("secret cause"));
    insta::assert_json_snapshot!(answer.body["error"]);
}

#[tokio::test]
async fn a_cancelled_job_is_shown() {
    let app = TestApp::start().await;
    let id = app.cancelled().await;
    let answer = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(answer.body["status"], "CANCELLED");
    assert!(answer.body["completed_at"].is_string());
}

#[tokio::test]
async fn another_organizations_job_is_as_good_as_none() {
    let app = TestApp::start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let (user, organization) = app.new_user().await;
    let token = hs256(&claims(user, organization));
    for path in [
        format!("/api/v1/export/{id}"),
        format!("/api/v1/export/{id}/download"),
        format!("/api/v1/export/{id}/download?redirect=false"),
        format!("/api/v1/export/{id}/manifest"),
        format!("/api/v1/export/{id}/events"),
    ] {
        let theirs = Answer::to(app.anonymous(Method::GET, &path).bearer_auth(&token)).await;
        theirs.assert_problem(404, "not_found");
        let mut nobodys = app
            .get(&path.replace(&id.to_string(), &Uuid::new_v4().to_string()))
            .await;
        nobodys.body["request_id"] = theirs.body["request_id"].clone();
        assert_eq!(theirs.body, nobodys.body);
    }
}

#[tokio::test]
async fn what_is_no_id_names_no_job() {
    let app = TestApp::start().await;
    for id in ["1", "x'--", "%ff", "00000000-0000-0000-0000-00000000000g"] {
        let answer = app.get(&format!("/api/v1/export/{id}")).await;
        answer.assert_problem(404, "not_found");
    }
    let answer = app.get("/api/v1/export/1/download").await;
    answer.assert_problem(404, "not_found");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}
