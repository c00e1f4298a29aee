//! `GET /api/v1/export/{id}` with `If-None-Match` and `?wait=`.

use std::time::{Duration, Instant};

use domain::{JobId, Progress};
use futures::future;
use reqwest::{Method, RequestBuilder, StatusCode};
use store::jobs::Claim;

use crate::app::{Answer, TestApp};
use crate::tokens::{claims, hs256, now};

fn request(app: &TestApp, id: JobId, query: &str) -> RequestBuilder {
    app.request(Method::GET, &format!("/api/v1/export/{id}{query}"))
}

async fn get(app: &TestApp, id: JobId, query: &str, etag: &str) -> Answer {
    Answer::to(request(app, id, query).header("if-none-match", etag)).await
}

/// Writes how far a job is.
pub(crate) async fn progress(app: &TestApp, claim: &Claim, percent: u8) {
    let mut connection = store::acquire(&app.pool).await.unwrap();
    let (rows, progress) = (percent.into(), Progress::new(percent).unwrap());
    store::jobs::progress(&mut connection, claim, rows, Some(100), progress)
        .await
        .unwrap();
}

/// Sends a request again for as long as there is no place for it.
async fn patiently(request: RequestBuilder) -> Answer {
    loop {
        let answer = Answer::to(request.try_clone().unwrap()).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
    }
}

/// Waits until somebody has the only place for a watcher, or nobody. `id` is a job that waits.
async fn until_place_is_taken(app: &TestApp, id: JobId, taken: bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    // An answer without a body has left its place again.
    let path = format!("/api/v1/export/{id}/events");
    loop {
        let answer = Answer::to(app.request(Method::HEAD, &path)).await;
        if (answer.status == StatusCode::SERVICE_UNAVAILABLE) == taken {
            break;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
    }
}

/// Starts a service with one place for a watcher and one connection to Postgres.
async fn narrow() -> TestApp {
    let builder = TestApp::builder().await.with(|config| {
        config.http.max_watchers = 1;
        config.postgres.max_connections = 1;
    });
    builder.start().await
}

#[tokio::test]
async fn a_client_that_has_the_job_is_not_sent_it_again() {
    let app = TestApp::start().await;
    let claim = app.claimed().await;
    let id = claim.job.id;
    let first = app.get(&format!("/api/v1/export/{id}")).await;
    let etag = first.header("etag");
    assert!(etag.len() > 16 && etag.starts_with('"'), "{etag}");
    for condition in [etag, &format!("\"x\", W/{etag}"), "*"] {
        let same = get(&app, id, "", condition).await;
        assert_eq!(same.status, StatusCode::NOT_MODIFIED);
        assert_eq!(same.header("etag"), etag);
        assert_eq!(same.header("retry-after"), "2");
        assert!(same.body.is_null());
    }
    progress(&app, &claim, 10).await;
    let changed = get(&app, id, "", etag).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), etag);
    assert_eq!(changed.body["progress"], 10);
    assert_eq!(changed.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_change_is_waited_for_without_a_connection_to_the_database() {
    let builder = TestApp::builder().await.with(|config| {
        config.postgres.max_connections = 1;
        config.http.request_timeout_ms = 1000;
    });
    let app = builder.start().await;
    let claim = app.claimed().await;
    let id = claim.job.id;
    let etag = app.get(&format!("/api/v1/export/{id}")).await;
    let etag = etag.header("etag");
    let begin = Instant::now();
    let with_tag = future::join_all((0..10).map(|_| get(&app, id, "?wait=15", etag)));
    let without = Answer::to(request(&app, id, "?wait=15"));
    let meanwhile = async {
        // Longer than any other request may take.
        while begin.elapsed() < Duration::from_millis(1500) {
            app.get("/api/v1/export").await;
            tokio::task::yield_now().await;
        }
        progress(&app, &claim, 20).await;
    };
    let (with_tag, without, ()) = tokio::join!(with_tag, without, meanwhile);
    for answer in with_tag.iter().chain([&without]) {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["progress"], 20);
    }
    let elapsed = begin.elapsed();
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

#[tokio::test]
async fn a_change_that_has_happened_is_told_at_once() {
    let app = narrow().await;
    let claim = app.claimed().await;
    let id = claim.job.id;
    let etag = app.get(&format!("/api/v1/export/{id}")).await;
    progress(&app, &claim, 30).await;
    let answer = get(&app, id, "?wait=60", etag.header("etag")).await;
    assert_eq!(answer.body["progress"], 30);
    let ended = app.cancelled().await;
    for query in ["?wait=60", "?wait=0", ""] {
        let answer = app.get(&format!("/api/v1/export/{ended}{query}")).await;
        assert_eq!(answer.body["status"], "CANCELLED");
        let same = get(&app, ended, query, answer.header("etag")).await;
        assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_ends_the_wait_for_that() {
    let app = narrow().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let etag = app.get(&format!("/api/v1/export/{id}")).await;
    let other = app.create().await;
    let delete = async {
        until_place_is_taken(&app, other, true).await;
        app.delete(id).await
    };
    let request = request(&app, id, "?wait=60").header("if-none-match", etag.header("etag"));
    let (answer, _) = tokio::join!(patiently(request), delete);
    assert_eq!(answer.body["status"], "EXPIRED");
}

#[tokio::test]
async fn a_wait_ends_in_time() {
    let app = TestApp::start().await;
    let id = app.create().await;
    let now = app.get(&format!("/api/v1/export/{id}")).await;
    let begin = Instant::now();
    let (unchanged, shown) = tokio::join!(
        get(&app, id, "?wait=1", now.header("etag")),
        Answer::to(request(&app, id, "?wait=1")),
    );
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
    assert_eq!((shown.status, shown.body), (StatusCode::OK, now.body));
}

#[tokio::test]
async fn a_wait_ends_with_the_token() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.auth.leeway_s = 0)
        .start()
        .await;
    let id = app.create().await;
    let begin = Instant::now();
    let mut claims = claims(app.user, app.organization);
    claims["exp"] = (now() + 2).into();
    let path = format!("/api/v1/export/{id}?wait=60");
    let ask = || {
        app.anonymous(Method::GET, &path)
            .bearer_auth(hs256(&claims))
    };
    let answer = Answer::to(ask()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["status"], "PENDING");
    // The clock of the wall may be a moment behind.
    let refused = loop {
        let answer = Answer::to(ask()).await;
        assert!(begin.elapsed() < Duration::from_secs(10));
        if answer.status != StatusCode::OK {
            break answer;
        }
    };
    refused.assert_problem(401, "token_expired");
}

#[tokio::test]
async fn a_place_is_free_again_when_a_client_has_gone() {
    let app = narrow().await;
    let id = app.create().await;
    let wait = tokio::spawn(patiently(request(&app, id, "?wait=60")));
    until_place_is_taken(&app, id, true).await;
    let refused = Answer::to(request(&app, id, "?wait=60")).await;
    refused.assert_problem(503, "too_many_watchers");
    assert_eq!(refused.header("retry-after"), "5");
    insta::assert_json_snapshot!(refused.body, { ".request_id" => "[request id]" });
    let at_once = app.get(&format!("/api/v1/export/{id}")).await;
    assert_eq!(
        at_once.status,
        StatusCode::OK,
        "who does not wait needs no place"
    );
    wait.abort();
    until_place_is_taken(&app, id, false).await;
}

#[tokio::test]
async fn a_wait_ends_with_the_process() {
    let app = narrow().await;
    let id = app.create().await;
    let end = async {
        until_place_is_taken(&app, id, true).await;
        app.shutdown.soft.cancel();
    };
    let begin = Instant::now();
    let (answer, ()) = tokio::join!(patiently(request(&app, id, "?wait=60")), end);
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["status"], "PENDING");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_no_wait_is_refused() {
    let app = TestApp::start().await;
    let id = app.create().await;
    for query in [
        "?wait=61",
        "?wait=-1",
        "?wait=1.5",
        "?wait=",
        "?wait=1&wait=1",
    ] {
        let answer = app.get(&format!("/api/v1/export/{id}{query}")).await;
        answer.assert_problem(422, "invalid_request");
        assert_eq!(answer.body["errors"][0]["pointer"], "/wait", "{query}");
    }
}
