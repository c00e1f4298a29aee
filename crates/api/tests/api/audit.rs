//! `GET /api/v1/export/{id}/audit`, and what it says of clients.

use std::time::Duration;

use api::ForwardedHeader;
use domain::JobId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Answer, Builder, TestApp};
use crate::tokens::{claims, hs256};

async fn builder() -> Builder {
    let builder = TestApp::builder().await;
    builder.with(|config| {
        config.auth.permissions_claims = vec!["scope".to_owned()];
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

/// Asks for the audit trail as an admin.
async fn audit(app: &TestApp, id: JobId, query: &str) -> Answer {
    let mut claims = claims(app.user, app.organization);
    claims["scope"] = json!("export:admin");
    let path = format!("/api/v1/export/{id}/audit{query}");
    let request = app.anonymous(Method::GET, &path);
    Answer::to(request.bearer_auth(hs256(&claims))).await
}

#[tokio::test]
async fn it_says_who_did_what_from_where() {
    let app = builder().await.start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let from = |method, path: &str| {
        let request = app.request(method, &format!("/api/v1/export/{id}{path}"));
        let request = request.header("x-forwarded-for", "6.6.6.6, 203.0.113.7");
        Answer::to(request.header("user-agent", "dash\u{9b}board\t/1".as_bytes()))
    };
    assert_eq!(
        from(Method::GET, "/download").await.status,
        StatusCode::FOUND
    );
    assert_eq!(from(Method::DELETE, "").await.status, StatusCode::OK);

    let answer = audit(&app, id, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let user = json!(app.user);
    for event in answer.body["events"].as_array().unwrap() {
        let by_a_worker = ["started", "completed"]
            .map(Value::from)
            .contains(&event["kind"]);
        assert_eq!(event["user_id"] == user, !by_a_worker, "{event}");
    }
    insta::assert_json_snapshot!(answer.body, {
        ".events[].at" => "[time]", ".events[].user_id" => "[user id]",
    });
}

#[tokio::test]
async fn it_has_pages() {
    let app = builder().await.start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let whole = audit(&app, id, "").await;
    assert_eq!(whole.header("link"), "");
    let mut events = Vec::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let page = audit(&app, id, &query).await;
        let [event] = &page.body["events"].as_array().unwrap()[..] else {
            panic!("{}", page.body)
        };
        events.push(event.clone());
        let Some(next) = page.body["next"].as_str() else {
            break;
        };
        assert_eq!(page.header("link"), format!("<{next}>; rel=\"next\""));
        query = format!("?{}", next.split_once('?').unwrap().1);
    }
    assert_eq!(events.len(), 3);
    assert_eq!(json!(events), whole.body["events"]);
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let app = builder().await.start().await;
    let id = app.create().await;
    let answer = audit(&app, id, "?limit=0&cursor=x&kind=downloaded").await;
    answer.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(answer.body["errors"]);
}

#[tokio::test]
async fn only_the_header_that_the_proxy_writes_is_believed() {
    let builder = builder().await.with(|config| {
        config.http.forwarded_header = ForwardedHeader::Forwarded;
    });
    let app = builder.start().await;
    for (name, value, ip) in [
        ("x-forwarded-for", "203.0.113.7", [127, 0, 0, 1]),
        ("forwarded", "for=203.0.113.7;proto=https", [203, 0, 113, 7]),
    ] {
        let id = app.create().await;
        let request = app.request(Method::DELETE, &format!("/api/v1/export/{id}"));
        Answer::to(request.header(name, value)).await;
        let last = app.events(id).await.pop().unwrap();
        assert_eq!(last.actor.unwrap().ip, Some(ip.into()), "{name}");
    }
}
