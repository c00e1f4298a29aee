//! `POST /api/v1/export` with an `Idempotency-Key`.

use futures::future::{self, Either};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, TestApp, minimal};
use crate::tokens::{claims, hs256};

fn request(app: &TestApp, key: &str, body: &Value) -> RequestBuilder {
    app.request(Method::POST, "/api/v1/export")
        .header("idempotency-key", key)
        .json(body)
}

async fn post(app: &TestApp, key: &str, body: &Value) -> Answer {
    Answer::to(request(app, key, body)).await
}

async fn count(app: &TestApp, table: &'static str) -> i64 {
    let sql = match table {
        "export_jobs" => "SELECT count(*) FROM export_jobs",
        _ => "SELECT count(*) FROM export_idempotency_keys",
    };
    sqlx::query_scalar(sql).fetch_one(&app.pool).await.unwrap()
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer_again() {
    let app = TestApp::start().await;
    let first = post(&app, "\"a key\"", &minimal()).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    // Whatever has become of the job in the meantime.
    let id = first.body["job_id"].as_str().unwrap().parse().unwrap();
    app.delete(id).await;
    let again = post(&app, "\"a key\"", &minimal()).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for header in ["location", "retry-after"] {
        assert_eq!(again.header(header), first.header(header));
    }
    // The members of the body in another order are the same body.
    let body = minimal();
    let reversed = body
        .as_object()
        .unwrap()
        .clone()
        .into_iter()
        .rev()
        .collect();
    let again = post(&app, "\"a key\"", &Value::Object(reversed)).await;
    assert_eq!(again.body, first.body);
    assert_eq!(count(&app, "export_jobs").await, 1);
    assert_eq!(app.events(id).await.len(), 2, "requested and cancelled");
}

#[tokio::test]
async fn another_request_needs_another_key() {
    let app = TestApp::start().await;
    let first = post(&app, "key-1", &minimal()).await;
    let mut other = minimal();
    other["format"] = json!("json");
    let refused = post(&app, "key-1", &other).await;
    refused.assert_problem(422, "idempotency_key_reused");
    insta::assert_json_snapshot!(refused.body, { ".request_id" => "[request id]" });
    let second = post(&app, "key-2", &other).await;
    assert_eq!(second.status, StatusCode::ACCEPTED);
    assert_ne!(second.body["job_id"], first.body["job_id"]);
}

#[tokio::test]
async fn a_request_that_made_no_job_leaves_its_key_free() {
    let app = TestApp::start().await;
    let wrong = post(&app, "key", &json!({})).await;
    wrong.assert_problem(422, "invalid_request");
    let right = post(&app, "key", &minimal()).await;
    assert_eq!(right.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_key_is_of_one_user_in_one_organization() {
    let app = TestApp::start().await;
    let (user, organization) = app.new_user().await;
    let mut jobs = Vec::new();
    for (user, organization) in [
        (app.user, app.organization),
        (user, app.organization),
        (app.user, organization),
    ] {
        let request = app
            .anonymous(Method::POST, "/api/v1/export")
            .bearer_auth(hs256(&claims(user, organization)))
            .header("idempotency-key", "the-same")
            .json(&minimal());
        jobs.push(Answer::to(request).await.body["job_id"].clone());
    }
    assert_eq!(count(&app, "export_jobs").await, 3, "{jobs:?}");
}

#[tokio::test]
async fn many_at_once_make_one_job() {
    let app = TestApp::start().await;
    let key = Uuid::new_v4().to_string();
    let body = minimal();
    let answers = future::join_all((0..20).map(|_| post(&app, &key, &body))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::ACCEPTED);
    for answer in &refused {
        answer.assert_problem(409, "idempotency_key_in_use");
    }
    assert!(!accepted.is_empty());
    for answer in &accepted {
        assert_eq!(answer.body, accepted[0].body);
    }
    assert_eq!(count(&app, "export_jobs").await, 1);
}

#[tokio::test]
async fn a_request_in_progress_is_not_waited_for() {
    let app = TestApp::start().await;
    let mut connection = store::acquire(&app.pool).await.unwrap();
    let mut lock = store::begin(&mut connection).await.unwrap();
    sqlx::query("LOCK TABLE export_jobs IN SHARE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let body = minimal();
    let two = future::select(
        Box::pin(post(&app, "key", &body)),
        Box::pin(post(&app, "key", &body)),
    );
    let (Either::Left((refused, other)) | Either::Right((refused, other))) = two.await;
    refused.assert_problem(409, "idempotency_key_in_use");
    assert_eq!(refused.header("retry-after"), "1");
    insta::assert_json_snapshot!(refused.body, { ".request_id" => "[request id]" });
    lock.rollback().await.unwrap();
    let accepted = other.await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(post(&app, "key", &body).await.body, accepted.body);
}

#[tokio::test]
async fn a_key_counts_for_a_day_and_is_removed() {
    let app = TestApp::start().await;
    let first = post(&app, "reused", &minimal()).await;
    post(&app, "forgotten", &minimal()).await;
    let age = async |age: &str| {
        sqlx::query("UPDATE export_idempotency_keys SET created_at = now() - $1::text::interval")
            .bind(age)
            .execute(&app.pool)
            .await
            .unwrap();
    };
    age("23 hours 59 minutes").await;
    let again = post(&app, "reused", &minimal()).await;
    assert_eq!(again.body, first.body);
    age("24 hours").await;
    let mut other = minimal();
    other["format"] = json!("json");
    let anew = post(&app, "reused", &other).await;
    assert_eq!(anew.status, StatusCode::ACCEPTED, "{}", anew.body);
    assert_ne!(anew.body["job_id"], first.body["job_id"]);
    assert_eq!(count(&app, "export_idempotency_keys").await, 1);
    assert_eq!(post(&app, "reused", &other).await.body, anew.body);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let app = TestApp::start().await;
    for key in ["", "\"open", "two words", &"k".repeat(256)] {
        post(&app, key, &minimal())
            .await
            .assert_problem(400, "invalid_idempotency_key");
    }
    let twice = request(&app, "a", &minimal()).header("idempotency-key", "a");
    let refused = Answer::to(twice).await;
    refused.assert_problem(400, "invalid_idempotency_key");
    insta::assert_json_snapshot!(refused.body, { ".request_id" => "[request id]" });
    assert_eq!(count(&app, "export_jobs").await, 0);
}
