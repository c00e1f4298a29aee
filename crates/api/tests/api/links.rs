//! Links of e-mails: `GET /api/v1/links/{token}` and `DELETE /api/v1/export/{id}/links`.

use std::time::Duration;

use axum::body::Bytes;
use domain::JobId;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sink::ObjectKind;
use store::events::EventKind;
use store::jobs::links::{self, LinkToken};
use store::notifications::{self, Channel};

use crate::app::{Answer, TestApp, minimal};

/// Makes a link to the file of the job that was completed last, as the e-mail about it does.
async fn link(app: &TestApp, random: u8) -> String {
    let mut connection = store::acquire(&app.pool).await.unwrap();
    let lease = Duration::from_mins(1);
    let mail = notifications::claim_due(&mut connection, Channel::Email, lease, &[]).await;
    let mail = mail.unwrap().expect("an e-mail is due");
    let token = LinkToken::new([random; 32]);
    links::add(&mut connection, &mail, &token).await.unwrap();
    format!("/api/v1/links/{}", token.as_str())
}

async fn follow(app: &TestApp, link: &str) -> Answer {
    Answer::to(app.anonymous(Method::GET, link)).await
}

async fn revoke(app: &TestApp, id: JobId) -> StatusCode {
    let path = format!("/api/v1/export/{id}/links");
    Answer::to(app.request(Method::DELETE, &path)).await.status
}

async fn kinds(app: &TestApp, id: JobId) -> Vec<EventKind> {
    app.events(id)
        .await
        .iter()
        .map(|event| event.kind)
        .collect()
}

#[tokio::test]
async fn a_link_leads_whoever_has_it_to_the_file_and_is_audited() {
    let app = TestApp::start().await;
    let kind = ObjectKind {
        content_type: "application/gzip".to_owned(),
        file_name: "x".to_owned(),
    };
    app.sink
        .put_object("key", Bytes::from_static(b"bytes"), &kind)
        .await
        .unwrap();
    let id = app.completed("key", Duration::from_hours(1)).await;
    let link = link(&app, 1).await;

    let request = app.anonymous(Method::GET, &link);
    let answer = Answer::to(request.header("user-agent", "a browser")).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let location = answer.header("location");
    assert!(location.contains("X-Amz-Expires=300"), "{location}");
    let file = reqwest::get(location).await.unwrap();
    assert_eq!(
        file.headers()["content-disposition"],
        "attachment; filename=\"logs_20260101T000000Z_20260102T000000Z.csv.gz\""
    );
    assert_eq!(file.bytes().await.unwrap(), "bytes");

    let last = app.events(id).await.pop().unwrap();
    assert_eq!(last.kind, EventKind::LinkFollowed);
    let actor = last.actor.unwrap();
    assert_eq!(actor.user, None, "whoever has the link");
    assert_eq!(actor.ip, Some([127, 0, 0, 1].into()));
    assert_eq!(actor.user_agent.as_deref(), Some("a browser"));
}

#[tokio::test]
async fn asking_for_the_headers_is_no_use_of_a_link() {
    let app = TestApp::start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let link = link(&app, 1).await;
    let before = kinds(&app, id).await;
    let head = Answer::to(app.anonymous(Method::HEAD, &link)).await;
    assert_eq!(head.status, StatusCode::FOUND);
    assert_eq!(kinds(&app, id).await, before);
}

#[tokio::test]
async fn links_that_lead_nowhere_cannot_be_told_apart() {
    let app = TestApp::start().await;
    app.completed("expired", Duration::ZERO).await;
    let expired = link(&app, 1).await;
    let deleted_id = app.completed("deleted", Duration::from_hours(1)).await;
    let deleted = link(&app, 2).await;
    app.delete(deleted_id).await;
    let revoked_id = app.completed("revoked", Duration::from_hours(1)).await;
    let revoked = link(&app, 3).await;
    assert_eq!(revoke(&app, revoked_id).await, StatusCode::NO_CONTENT);
    let unknown = revoked.replace("AwMD", "BAQE");
    let before = kinds(&app, revoked_id).await;

    let page = async |link: &str| {
        let response = app.anonymous(Method::GET, link).send().await.unwrap();
        let mut headers: HeaderMap = response.headers().clone();
        headers.remove("x-request-id");
        headers.remove("date");
        (response.status(), headers, response.text().await.unwrap())
    };
    let (status, headers, text) = page(&revoked).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert!(text.contains("This link leads nowhere"), "{text}");
    for link in [
        expired.as_str(),
        &deleted,
        &unknown,
        "/api/v1/links/x",
        "/api/v1/links/%ff",
        "/api/v1/links/%00",
    ] {
        let other = page(link).await;
        assert_eq!(other, (status, headers.clone(), text.clone()), "{link}");
    }
    assert_eq!(kinds(&app, revoked_id).await, before);
}

#[tokio::test]
async fn all_links_to_a_file_are_revoked_and_no_others() {
    let app = TestApp::start().await;
    let other_id = app.completed("other", Duration::from_hours(1)).await;
    let other = link(&app, 1).await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let first = link(&app, 2).await;
    // The e-mail is sent again.
    sqlx::query("UPDATE export_notifications SET lease_until = now() WHERE job_id = $1")
        .bind(id.as_uuid())
        .execute(&app.pool)
        .await
        .unwrap();
    let second = link(&app, 3).await;
    for link in [&first, &second] {
        assert_eq!(follow(&app, link).await.status, StatusCode::FOUND);
    }
    for _ in 0..2 {
        assert_eq!(revoke(&app, id).await, StatusCode::NO_CONTENT);
    }
    for link in [&first, &second] {
        assert_eq!(follow(&app, link).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(follow(&app, &other).await.status, StatusCode::FOUND);
    let trail = app.events(id).await;
    let revoked = trail.last().unwrap();
    assert_eq!(revoked.kind, EventKind::LinksRevoked);
    let actor = revoked.actor.as_ref().unwrap();
    assert_eq!(actor.user, Some(app.user.into()));
    let revocations = trail.iter().filter(|event| event.kind == revoked.kind);
    assert_eq!(revocations.count(), 1, "the second had nothing to revoke");
    assert!(!kinds(&app, other_id).await.contains(&revoked.kind));
}

#[tokio::test]
async fn a_service_that_does_not_know_its_address_makes_no_links() {
    let mut body = minimal();
    body["options"] = json!({"notify": {"link": "service"}});
    let app = TestApp::start().await;
    let refused = app.post(&body).await;
    refused.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(refused.body["errors"]);

    let builder = TestApp::builder().await.with(|config| {
        config.http.public_url = Some("https://export.example.com/".parse().unwrap());
    });
    let accepted = builder.start().await.post(&body).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    assert_eq!(accepted.body["options"]["notify"]["link"], "service");
}
