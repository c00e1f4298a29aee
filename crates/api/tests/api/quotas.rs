//! Quotas of organizations.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;
use store::quotas::QuotaRule;

use crate::app::{Answer, TestApp, minimal};

/// A rule that says nothing of an organization.
fn rule(organization: uuid::Uuid) -> QuotaRule {
    let rule = json!({ "organization": organization });
    serde_json::from_value(rule).unwrap()
}

#[tokio::test]
async fn only_so_many_exports_wait() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.quotas.default.max_queued = 3)
        .start()
        .await;
    let body = minimal();
    let answers = join_all((0..12).map(|_| app.post(&body))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::ACCEPTED);
    assert_eq!((accepted.len(), refused.len()), (3, 9));
    for answer in &refused {
        answer.assert_problem(429, "queue_quota_exceeded");
        assert_eq!(answer.header("retry-after"), "30");
    }
    insta::assert_json_snapshot!(refused[0].body, { ".request_id" => "[request id]" });

    // Cancelled ones wait no longer.
    let id = accepted[0].body["job_id"].as_str().unwrap();
    app.delete(id.parse().unwrap()).await;
    app.create().await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_answered_whatever_is_used_up() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.quotas.default.max_queued = 1)
        .start()
        .await;
    let post = || {
        let request = app.request(Method::POST, "/api/v1/export");
        Answer::to(request.header("idempotency-key", "k").json(&minimal()))
    };
    let first = post().await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    assert_eq!(post().await.body, first.body);
    app.post(&minimal())
        .await
        .assert_problem(429, "queue_quota_exceeded");
}

#[tokio::test]
async fn rows_and_bytes_of_a_day_are_used_up() {
    let day = Duration::from_hours(24);
    for code in ["row_quota_exceeded", "byte_quota_exceeded"] {
        let builder = TestApp::builder().await.with(|config| match code {
            "row_quota_exceeded" => config.quotas.default.max_rows_per_day = 100,
            _ => config.quotas.default.max_bytes_per_day = 2000,
        });
        let app = builder.start().await;
        // Twice 56 rows and 1,234 bytes.
        app.completed("k1", day).await;
        app.completed("k2", day).await;
        let answer = app.post(&minimal()).await;
        answer.assert_problem(429, code);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
        insta::assert_json_snapshot!(code, answer.body, { ".request_id" => "[request id]" });
    }
}

#[tokio::test]
async fn an_organization_may_have_a_quota_of_its_own() {
    let mut builder = TestApp::builder().await;
    builder.config.quotas.default.max_range_days = 1;
    let organization = uuid::Uuid::new_v4();
    builder.config.quotas.rules = vec![QuotaRule {
        max_range_days: Some(0),
        ..rule(organization)
    }];
    let mut app = builder.start().await;
    let mut long = minimal();
    long["end_time"] = json!("2036-01-01T00:00:00Z");
    let answer = app.post(&long).await;
    answer.assert_problem(422, "invalid_request");
    assert_eq!(answer.body["errors"][0]["pointer"], "/end_time");

    app.organization = organization;
    sqlx::query("INSERT INTO organizations (organization_id, name) VALUES ($1, 'Large')")
        .bind(organization)
        .execute(&app.pool)
        .await
        .unwrap();
    let answer = app.post(&long).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
}
