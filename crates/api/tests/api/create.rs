//! `POST /api/v1/export`.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use store::events::EventKind;
use uuid::Uuid;

use crate::app::{Answer, NOWHERE, TestApp, minimal};
use crate::tokens::{claims, hs256};

fn full() -> Value {
    json!({
        "data_type": "logs", "format": "csv", "compression": "zstd",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T02:00:00+02:00",
        "filters": { "service_name": "checkout", "severity_text": ["ERROR", "FATAL"] },
        "columns": ["timestamp", "severity_text", "body"],
        "options": { "csv": { "delimiter": ";" } },
    })
}

async fn post_raw(app: &TestApp, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.request(Method::POST, "/api/v1/export");
    Answer::to(
        request
            .header("content-type", "application/json")
            .body(body),
    )
    .await
}

#[tokio::test]
async fn a_job_is_accepted_and_shown() {
    let app = TestApp::start().await;
    let answer = app.post(&full()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let id = answer.body["job_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/export/{id}"));
    assert_eq!(answer.header("retry-after"), "2");
    insta::assert_json_snapshot!(answer.body, {
        ".job_id" => "[job id]", ".user_id" => "[user id]", ".created_at" => "[time]", ".updated_at" => "[time]",
    });
    let shown = app.get(answer.header("location")).await;
    assert_eq!(shown.body["job_id"], id);
    assert_eq!(shown.body["filters"], full()["filters"]);
}

#[tokio::test]
async fn links_are_absolute_below_the_public_address() {
    let builder = TestApp::builder().await.with(|config| {
        config.http.public_url = Some("https://export.example.com/".parse().unwrap());
    });
    let answer = builder.start().await.post(&minimal()).await;
    let id = answer.body["job_id"].as_str().unwrap();
    let expected = format!("https://export.example.com/api/v1/export/{id}");
    assert_eq!(answer.header("location"), expected);
}

#[tokio::test]
async fn the_audit_trail_says_who_asked_from_where() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
        .start()
        .await;
    let request = app
        .request(Method::POST, "/api/v1/export")
        .header("x-forwarded-for", "6.6.6.6, 203.0.113.7")
        .header("user-agent", "dashboard/1.0")
        .json(&minimal());
    let answer = Answer::to(request).await;
    let id = answer.body["job_id"].as_str().unwrap().parse().unwrap();
    let events = app.events(id).await;
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(event.kind, EventKind::Requested);
    let actor = event.actor.as_ref().unwrap();
    assert_eq!(actor.user, Some(app.user.into()));
    assert_eq!(actor.ip, Some("203.0.113.7".parse().unwrap()));
    assert_eq!(actor.user_agent.as_deref(), Some("dashboard/1.0"));
}

#[tokio::test]
async fn a_wake_up_goes_to_the_queue() {
    let app = TestApp::start().await;
    let id = app.create().await;
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let dispatched: bool = sqlx::query_scalar(
            "SELECT dispatched_at IS NOT NULL FROM export_jobs WHERE job_id = $1",
        )
        .bind(id.as_uuid())
        .fetch_one(&app.pool)
        .await
        .unwrap();
        if dispatched {
            break;
        }
        assert!(Instant::now() < deadline, "no wake-up was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn redis_may_be_down() {
    let builder = TestApp::builder().await.with(|config| {
        config.redis.url = SecretString::from(format!("redis://{NOWHERE}"));
    });
    let app = builder.start().await;
    let begin = Instant::now();
    for _ in 0..3 {
        let answer = app.post(&minimal()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.body["status"], "PENDING");
    }
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let app = TestApp::start().await;
    let answer = app
        .post(&json!({
            "data_type": "logs", "format": "parquet", "compression": "gzip",
            "start_time": "2026-01-02T00:00:00", "end_time": "yesterday",
            "columns": ["body", "colour"],
            "filters": { "all": [
                { "field": "service_name", "op": "like", "value": "x" },
                { "field": "severity_number", "op": "gt", "value": "many" },
            ]},
            "options": { "csv": {} },
            "colour": "red",
        }))
        .await;
    answer.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn the_catalogue_has_its_say() {
    let app = TestApp::start().await;
    let mut body = minimal();
    body["columns"] = json!(["body", "colour"]);
    body["filters"] = json!({ "all": [
        { "field": "nothing", "op": "eq", "value": "x" },
        { "field": "severity_number", "op": "gt", "value": "many" },
        { "field": "severity_number", "op": "contains", "value": "1" },
    ]});
    let answer = app.post(&body).await;
    answer.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
    body = minimal();
    body["data_type"] = json!("cookies");
    let answer = app.post(&body).await;
    answer.assert_problem(422, "invalid_request");
    assert_eq!(answer.body["errors"][0]["pointer"], "/data_type");
}

#[tokio::test]
async fn limits_are_configurable() {
    let builder = TestApp::builder().await.with(|config| {
        config.quotas.default.max_range_days = 1;
        config.limits.max_columns = 1;
        config.limits.max_filter_conditions = 1;
        config.limits.max_filter_depth = 2;
        config.limits.max_filter_values = 2;
        config.limits.max_filter_value_bytes = 3;
    });
    let app = builder.start().await;
    let condition = json!({ "field": "body", "op": "eq", "value": "long" });
    let body = json!({
        "data_type": "logs", "format": "json",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-03T00:00:00Z",
        "columns": ["body", "timestamp"],
        "filters": { "all": [
            condition,
            { "field": "body", "op": "in", "value": ["a", "b", "c"] },
            { "any": [{ "not": condition }] },
        ]},
    });
    let answer = app.post(&body).await;
    answer.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let app = TestApp::start().await;
    let bodies = [
        "",
        "{",
        "{\"data_type\": \"logs\",}",
        "{\"data_type\": \"logs\", \"data_type\": \"traces\"}",
        "{\"filters\": {\"body\": \"a\\u0000b\"}}",
        "\u{feff}{}",
    ];
    for body in bodies {
        post_raw(&app, body)
            .await
            .assert_problem(400, "invalid_json");
    }
    post_raw(&app, "[".repeat(10_000))
        .await
        .assert_problem(400, "invalid_json");
    post_raw(&app, vec![b'"', 0xff, b'"'])
        .await
        .assert_problem(400, "invalid_json");
    let answer = post_raw(&app, "{\"format\": \"csv\",\n  \"format\": \"json\"}").await;
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
    for body in ["null", "[]", "7"] {
        post_raw(&app, body)
            .await
            .assert_problem(422, "invalid_request");
    }
}

#[tokio::test]
async fn the_body_must_be_declared_as_plain_json() {
    let app = TestApp::start().await;
    let post = |name: &'static str, value: &'static str| {
        let request = app.request(Method::POST, "/api/v1/export");
        Answer::to(request.header(name, value).body(minimal().to_string()))
    };
    post("content-type", "text/plain")
        .await
        .assert_problem(415, "unsupported_media_type");
    post("x", "no content type")
        .await
        .assert_problem(415, "unsupported_media_type");
    let answer = post("content-type", "application/json; charset=utf-8").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let request = app.request(Method::POST, "/api/v1/export").json(&minimal());
    let answer = Answer::to(request.header("content-encoding", "gzip")).await;
    answer.assert_problem(415, "unsupported_media_type");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.http.body_limit_bytes = 1000)
        .start()
        .await;
    let mut body = minimal();
    body["filters"] = json!({ "body": "x".repeat(1000) });
    let answer = app.post(&body).await;
    answer.assert_problem(413, "body_too_large");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn somebody_whom_the_platform_does_not_know_is_refused() {
    let app = TestApp::start().await;
    let post = |user, organization| {
        let token = hs256(&claims(user, organization));
        let request = app
            .anonymous(Method::POST, "/api/v1/export")
            .bearer_auth(token);
        Answer::to(request.json(&minimal()))
    };
    let no_organization = post(app.user, Uuid::new_v4()).await;
    no_organization.assert_problem(403, "unknown_principal");
    let no_user = post(Uuid::new_v4(), app.organization).await;
    no_user.assert_problem(403, "unknown_principal");
    insta::assert_json_snapshot!(no_user.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn postgres_down_is_unavailable_and_says_nothing_about_it() {
    let builder = TestApp::builder().await.with(|config| {
        config.postgres.url = SecretString::from(format!("postgres://u:pw@{NOWHERE}/secret"));
        config.postgres.acquire_timeout_ms = 200;
    });
    let answer = builder.start().await.post(&minimal()).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    let text = answer.body.to_string();
    assert!(
        !text.contains(NOWHERE) && !text.contains("secret"),
        "{text}"
    );
}
