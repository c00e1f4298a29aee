//! `DELETE /api/v1/export/{id}`.

use std::time::Duration;

use domain::{ErrorCode, Failure};
use reqwest::{Method, StatusCode};
use store::StoreError;
use store::events::EventKind;

use crate::app::{Answer, TestApp};
use crate::tokens::{claims, hs256};

#[tokio::test]
async fn a_job_that_waits_is_cancelled_and_never_done() {
    let app = TestApp::start().await;
    let id = app.create().await;
    let answer = app.delete(id).await;
    assert_eq!(answer.status, StatusCode::OK);
    insta::assert_json_snapshot!(answer.body, {
        ".job_id" => "[job id]", ".user_id" => "[user id]", ".created_at" => "[time]", ".updated_at" => "[time]",
        ".completed_at" => "[time]",
    });
    let last = app.events(id).await.pop().unwrap();
    assert_eq!(last.kind, EventKind::Cancelled);
    assert_eq!(last.actor.unwrap().user, Some(app.user.into()));
}

#[tokio::test]
async fn a_job_that_runs_is_cancelled_for_its_worker_too() {
    let app = TestApp::start().await;
    let claim = app.claimed().await;
    let answer = app.delete(claim.job.id).await;
    assert_eq!(answer.body["status"], "CANCELLED");
    let mut connection = store::acquire(&app.pool).await.unwrap();
    let checked = store::jobs::check(&mut connection, &claim).await;
    assert!(matches!(checked, Err(StoreError::LeaseLost)));
}

#[tokio::test]
async fn the_file_of_a_completed_job_is_deleted() {
    let app = TestApp::start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let answer = app.delete(id).await;
    assert_eq!(answer.status, StatusCode::OK);
    insta::assert_json_snapshot!(answer.body, {
        ".job_id" => "[job id]", ".user_id" => "[user id]", ".created_at" => "[time]", ".updated_at" => "[time]",
        ".started_at" => "[time]", ".completed_at" => "[time]", ".expires_at" => "[time]",
        ".deleted_at" => "[time]",
    });
    let last = app.events(id).await.pop().unwrap();
    assert_eq!(last.kind, EventKind::Deleted);
    assert_eq!(last.actor.unwrap().user, Some(app.user.into()));

    let download = app.get(&format!("/api/v1/export/{id}/download")).await;
    download.assert_problem(410, "expired");
    insta::assert_json_snapshot!(download.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn deleting_twice_is_the_same_as_deleting_once() {
    let app = TestApp::start().await;
    for id in [
        app.cancelled().await,
        app.completed("key", Duration::from_hours(1)).await,
        app.failed(Failure::from(ErrorCode::TooLarge)).await,
    ] {
        let once = app.delete(id).await;
        let events = app.events(id).await;
        let twice = app.delete(id).await;
        assert_eq!((once.status, &once.body), (twice.status, &twice.body));
        assert_eq!(app.events(id).await, events);
    }
}

#[tokio::test]
async fn another_organizations_job_stays() {
    let app = TestApp::start().await;
    let id = app.create().await;
    let (user, organization) = app.new_user().await;
    let theirs = app
        .anonymous(Method::DELETE, &format!("/api/v1/export/{id}"))
        .bearer_auth(hs256(&claims(user, organization)));
    Answer::to(theirs).await.assert_problem(404, "not_found");
    let job = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(job.body["status"], "PENDING");
}
