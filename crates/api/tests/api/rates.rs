//! Rate limits of organizations.

use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::access::{ADMIN, protected, token};
use crate::app::{Answer, Builder, TestApp, minimal};
use crate::openapi::document;

/// Returns what is left and for how many seconds, of a header such as `"create";r=2;t=20`.
fn left(answer: &Answer, policy: &str) -> (u64, u64) {
    let parts = answer.header("ratelimit").split(';').collect::<Vec<_>>();
    let [name, remaining, seconds] = parts[..] else {
        panic!("{answer:?}");
    };
    assert_eq!(name, format!("{policy:?}"));
    let number = |text: &str, key| text.strip_prefix(key).unwrap().parse().unwrap();
    (number(remaining, "r="), number(seconds, "t="))
}

#[tokio::test]
async fn requests_for_exports_are_counted_over_all_processes() {
    let builder = TestApp::builder().await;
    let builder = builder.with(|config| config.rate_limit.create_per_minute = 3);
    let config = builder.config.clone();
    let app = builder.start().await;
    let mut other = Builder { config }.start().await;
    (other.user, other.organization) = (app.user, app.organization);

    for (app, remaining) in [(&app, 2), (&other, 1)] {
        let answer = app.post(&minimal()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        assert_eq!(answer.header("ratelimit-policy"), "\"create\";q=3;w=60");
        let (left, seconds) = left(&answer, "create");
        assert_eq!(left, remaining);
        assert!((1..=20).contains(&seconds), "{seconds}");
    }
    // A request that is wrong is one, too.
    let answer = app.post(&json!({})).await;
    answer.assert_problem(422, "invalid_request");
    assert_eq!(left(&answer, "create").0, 0);

    let answer = other.post(&minimal()).await;
    answer.assert_problem(429, "rate_limited");
    let (remaining, seconds) = left(&answer, "create");
    assert_eq!(remaining, 0);
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(answer.header("retry-after"), seconds.to_string());
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });

    // Nothing else is limited, nor is anybody else.
    let answer = app.get("/api/v1/export").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("ratelimit"), "");
    for path in ["/api/v1/export/estimate", "/api/v1/export/schedules"] {
        let answer = Answer::to(app.request(Method::POST, path).json(&json!({}))).await;
        answer.assert_problem(422, "invalid_request");
        assert_eq!(answer.header("ratelimit"), "", "{path}");
    }
    (other.user, other.organization) = app.new_user().await;
    assert_eq!(other.post(&minimal()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn other_requests_are_counted_by_each_process() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.rate_limit.other_per_minute = 2)
        .start()
        .await;
    let id = app.create().await;
    let path = format!("/api/v1/export/{id}");
    let answer = app.get(&path).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("ratelimit-policy"), "\"other\";q=2;w=60");
    assert_eq!(left(&answer, "other").0, 1);
    app.get("/api/v1/export/none")
        .await
        .assert_problem(404, "not_found");
    for method in [Method::GET, Method::DELETE] {
        let answer = Answer::to(app.request(method, &path)).await;
        answer.assert_problem(429, "rate_limited");
        let (_, seconds) = left(&answer, "other");
        assert_eq!(answer.header("retry-after"), seconds.to_string());
    }
    // Who has no token is told so, and what needs none is not counted.
    let answer = Answer::to(app.anonymous(Method::GET, &path)).await;
    answer.assert_problem(401, "token_missing");
    assert_eq!(app.get("/healthz").await.header("ratelimit"), "");
    app.create().await;
}

#[tokio::test]
async fn what_answers_say_of_limits_is_described() {
    let builder = TestApp::builder().await.with(|config| {
        config.auth.permissions_claims = vec!["scope".to_owned()];
        config.rate_limit.create_per_minute = 1;
        config.rate_limit.other_per_minute = 1;
    });
    let app = builder.start().await;
    let document = document(&app).await;
    for operation in protected(&app).await {
        let (method, path) = (&operation.method, &operation.path);
        let (user, organization) = app.new_user().await;
        let admin = token(user, organization, ADMIN);
        for is_over in [false, true] {
            let answer = operation.call(&app, &admin, Uuid::new_v4()).await;
            assert_eq!(answer.status == 429, is_over, "{method} {path}: {answer:?}");
            assert_ne!(answer.header("ratelimit"), "", "{method} {path}");
            let operation = &document["paths"][path][method.as_str().to_lowercase()];
            let described = &operation["responses"][answer.status.as_str()]["headers"];
            for header in ["RateLimit", "RateLimit-Policy", "Retry-After"] {
                let is_sent = answer.headers.contains_key(header);
                let is_described = described.get(header).is_some();
                let status = answer.status;
                assert!(
                    is_described || !is_sent,
                    "{method} {path} {status}: {header}"
                );
            }
        }
    }
}
