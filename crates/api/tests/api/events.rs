//! `GET /api/v1/export/{id}/events`.

use std::time::{Duration, Instant};

use domain::{ErrorCode, Failure, JobId};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::app::{Answer, TestApp};
use crate::tokens::{claims, hs256, now};
use crate::wait::progress;

/// One event, or a comment.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: String,
    retry: String,
    data: Value,
}

/// A client that listens.
struct Listener {
    response: Response,
    text: String,
}

impl Listener {
    async fn open(app: &TestApp, id: JobId, last: Option<&str>) -> Self {
        Self::open_with(app, &app.token(), id, last).await
    }

    async fn open_with(app: &TestApp, token: &str, id: JobId, last: Option<&str>) -> Self {
        let mut request = app
            .anonymous(Method::GET, &format!("/api/v1/export/{id}/events"))
            .bearer_auth(token)
            .timeout(Duration::from_mins(1));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        let text = String::new();
        Self { response, text }
    }

    /// Reads the next event; nothing comes after the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let mut read = Event::default();
                for (name, value) in event.lines().filter_map(|line| line.split_once(": ")) {
                    match name {
                        "event" => value.clone_into(&mut read.name),
                        "id" => value.clone_into(&mut read.id),
                        "retry" => value.clone_into(&mut read.retry),
                        "data" => read.data = serde_json::from_str(value).unwrap(),
                        other => panic!("a field {other:?}"),
                    }
                }
                return Some(read);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn progress_is_told_until_the_end() {
    let app = TestApp::start().await;
    let claim = app.claimed().await;
    let id = claim.job.id;
    let mut listener = Listener::open(&app, id, None).await;
    assert_eq!(listener.response.status(), StatusCode::OK);
    let headers = listener.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");

    let first = listener.next().await.unwrap();
    let shown = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(
        (first.name.as_str(), &first.data),
        ("progress", &shown.body)
    );
    assert_eq!(format!("\"{}\"", first.id), shown.header("etag"));
    assert_eq!(first.retry, "2000");

    progress(&app, &claim, 40).await;
    let second = listener.next().await.unwrap();
    assert_eq!(second.name, "progress");
    assert_eq!(second.data["progress"], 40);
    assert_ne!(second.id, first.id);

    let failure = Failure::from(ErrorCode::SourceLimit);
    let mut connection = store::acquire(&app.pool).await.unwrap();
    store::jobs::fail(&mut connection, &claim, &failure, "a cause")
        .await
        .unwrap();
    let last = listener.next().await.unwrap();
    assert_eq!(
        (last.name.as_str(), &last.data["status"]),
        ("end", &"FAILED".into())
    );
    assert_eq!(last.data["error"]["code"], "source_limit");
    assert!(listener.next().await.is_none());
}

#[tokio::test]
async fn a_client_that_comes_again_is_told_what_is_new() {
    let app = TestApp::start().await;
    let claim = app.claimed().await;
    let id = claim.job.id;
    let first = Listener::open(&app, id, None).await.next().await.unwrap();
    let mut again = Listener::open(&app, id, Some(&first.id)).await;
    progress(&app, &claim, 50).await;
    let news = again.next().await.unwrap();
    assert_eq!(news.data["progress"], 50, "and not what was told before");
    let missed = Listener::open(&app, id, Some(&first.id)).await.next().await;
    assert_eq!(missed.unwrap().data["progress"], 50);

    app.delete(id).await;
    let end = again.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), &end.data["status"]),
        ("end", &"CANCELLED".into())
    );
    let late = Listener::open(&app, id, Some(&news.id)).await.next().await;
    assert_eq!(late.unwrap().name, "end");
    let done = Listener::open(&app, id, Some(&end.id)).await;
    assert_eq!(
        done.response.status(),
        StatusCode::NO_CONTENT,
        "do not come again"
    );
}

#[tokio::test]
async fn another_organizations_job_is_as_good_as_none() {
    let app = TestApp::start().await;
    let id = app.create().await;
    let (user, organization) = app.new_user().await;
    let path = format!("/api/v1/export/{id}/events");
    let theirs = app
        .anonymous(Method::GET, &path)
        .bearer_auth(hs256(&claims(user, organization)));
    Answer::to(theirs).await.assert_problem(404, "not_found");
    let answer = Answer::to(app.anonymous(Method::GET, &path)).await;
    answer.assert_problem(401, "token_missing");
}

#[tokio::test]
async fn a_connection_that_is_silent_shows_that_it_lives() {
    let app = TestApp::start().await;
    let id = app.create().await;
    let mut listener = Listener::open(&app, id, None).await;
    listener.next().await.unwrap();
    let comment = listener.response.chunk().await.unwrap().unwrap();
    assert!(comment.starts_with(b":"), "{comment:?}");
}

#[tokio::test]
async fn events_end_with_the_token() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.auth.leeway_s = 1)
        .start()
        .await;
    let claim = app.claimed().await;
    let id = claim.job.id;
    let begin = Instant::now();
    let mut short = claims(app.user, app.organization);
    short["exp"] = (now() + 3).into();
    let token = hs256(&short);
    let mut listener = Listener::open_with(&app, &token, id, None).await;
    let first = listener.next().await.unwrap();
    progress(&app, &claim, 40).await;
    let second = listener.next().await.unwrap();
    assert_eq!(second.name, "progress");
    assert!(listener.next().await.is_none());
    assert!(begin.elapsed() >= Duration::from_secs(3), "with the leeway");

    // The clock of the wall may be a moment behind.
    while let late = Listener::open_with(&app, &token, id, Some(&first.id)).await
        && late.response.status() != StatusCode::UNAUTHORIZED
    {
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
    let mut again = Listener::open(&app, id, Some(&first.id)).await;
    assert_eq!(again.next().await.unwrap().data, second.data);
}

#[tokio::test]
async fn listeners_are_let_go_when_the_process_ends() {
    let app = TestApp::start().await;
    let id = app.create().await;
    let mut listener = Listener::open(&app, id, None).await;
    listener.next().await.unwrap();
    app.shutdown.soft.cancel();
    assert!(listener.next().await.is_none());
}

#[tokio::test]
async fn a_thousand_listeners_need_one_connection_to_the_database() {
    let builder = TestApp::builder().await.with(|config| {
        config.http.max_watchers = 1000;
        config.postgres.max_connections = 1;
        config.postgres.acquire_timeout_ms = 30_000;
    });
    let app = builder.start().await;
    let claim = app.claimed().await;
    let id = claim.job.id;
    let mut listeners = Vec::new();
    for _ in 0..1000 {
        let mut listener = Listener::open(&app, id, None).await;
        assert_eq!(listener.next().await.unwrap().name, "progress");
        listeners.push(listener);
    }
    let path = format!("/api/v1/export/{id}/events");
    app.get(&path)
        .await
        .assert_problem(503, "too_many_watchers");
    let answer = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(answer.status, StatusCode::OK);

    app.delete(id).await;
    let mut ends = JoinSet::new();
    for mut listener in listeners {
        ends.spawn(async move { listener.next().await.unwrap().name });
    }
    let all = tokio::time::timeout(Duration::from_secs(10), ends.join_all());
    let names = all.await.expect("everybody is told in time");
    assert!(names.iter().all(|name| name == "end"), "{names:?}");
}
