//! `options.notify.webhook` and `GET /api/v1/export/webhook-secret`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::{ADMIN, token};
use crate::app::{Answer, TestApp, minimal};

const PATH: &str = "/api/v1/export/webhook-secret";

async fn with_secrets(secrets: &[&str]) -> TestApp {
    let secrets = serde_json::from_value(json!(secrets)).unwrap();
    let builder = TestApp::builder().await;
    builder
        .with(|config| {
            config.notify.webhook_secrets = secrets;
            config.auth.permissions_claims = vec!["scope".to_owned()];
        })
        .start()
        .await
}

fn calling(webhook: &str) -> Value {
    let mut body = minimal();
    body["options"] = json!({ "notify": { "webhook": webhook } });
    body
}

async fn secrets_of_another(app: &TestApp) -> Value {
    let (user, organization) = app.new_user().await;
    let answer = secrets_of(app, user, organization).await;
    answer.body["secrets"].clone()
}

async fn secrets_of(app: &TestApp, admin: Uuid, organization: Uuid) -> Answer {
    let token = token(admin, organization, ADMIN);
    Answer::to(app.anonymous(Method::GET, PATH).bearer_auth(token)).await
}

#[tokio::test]
async fn a_webhook_is_kept_as_it_was_given() {
    let app = with_secrets(&["only for tests, never in production"]).await;
    let webhook = "https://example.com:8443/exports?key=value";
    let answer = app.post(&calling(webhook)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let shown = app.get(answer.header("location")).await;
    assert_eq!(shown.body["options"]["notify"]["webhook"], webhook);
}

#[tokio::test]
async fn a_webhook_that_may_not_be_called_is_refused() {
    let app = with_secrets(&["only for tests, never in production"]).await;
    for (webhook, detail) in [
        ("http://example.com/", "must begin with https://"),
        (
            "https://ada:secret@example.com/",
            "must not name a user or a password",
        ),
        (
            "https://example.com:25/",
            "must have port 443, or one from 1024 on",
        ),
        ("https://2130706433/", "must be at a public address"),
        ("https://[::ffff:127.0.0.1]/", "must be at a public address"),
        (
            "https://169.254.169.254/latest/meta-data/",
            "must be at a public address",
        ),
    ] {
        let answer = app.post(&calling(webhook)).await;
        answer.assert_problem(422, "invalid_request");
        let expected = json!([{ "pointer": "/options/notify/webhook", "detail": detail }]);
        assert_eq!(answer.body["errors"], expected, "{webhook}");
    }
}

#[tokio::test]
async fn it_is_told_together_with_all_else_that_is_wrong() {
    let app = with_secrets(&["only for tests, never in production"]).await;
    let mut body = calling("https://127.0.0.1/");
    body["end_time"] = body["start_time"].clone();
    body["columns"] = json!(["nonsense"]);
    let answer = app.post(&body).await;
    answer.assert_problem(422, "invalid_request");
    let errors = answer.body["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|wrong| wrong["pointer"].as_str())
        .collect();
    pointers.sort_unstable();
    let expected = ["/columns/0", "/end_time", "/options/notify/webhook"];
    assert_eq!(pointers, expected.map(Some));
}

#[tokio::test]
async fn without_a_secret_there_are_no_webhooks() {
    let app = with_secrets(&[]).await;
    let answer = app.post(&calling("https://example.com/")).await;
    answer.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(answer.body["errors"]);
    let answer = secrets_of(&app, app.user, app.organization).await;
    answer.assert_problem(404, "no_webhooks");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn where_tokens_say_nothing_of_permissions_members_see_the_secrets() {
    let secrets = json!(["only for tests, never in production"]);
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.notify.webhook_secrets = serde_json::from_value(secrets).unwrap())
        .start()
        .await;
    let answer = app.get(PATH).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let theirs = secrets_of_another(&app).await;
    assert_ne!(answer.body["secrets"], theirs);
}

#[tokio::test]
async fn each_organization_sees_its_own_secrets() {
    let app = with_secrets(&[
        "the newest, only for tests, never in production",
        "the one before, only for tests, never in production",
    ])
    .await;
    let answer = secrets_of(&app, app.user, app.organization).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let secrets = answer.body["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 2);
    assert!(
        secrets
            .iter()
            .all(|secret| secret.as_str().unwrap().starts_with("whsec_"))
    );
    assert_ne!(secrets[0], secrets[1]);
    let theirs = secrets_of_another(&app).await;
    assert!(!secrets.contains(&theirs[0]) && !secrets.contains(&theirs[1]));
    let nobody = Answer::to(app.anonymous(Method::GET, PATH)).await;
    nobody.assert_problem(401, "token_missing");
}
