//! What is the same for every path: problems, headers, slow clients, shutdown.

use std::num::NonZeroU16;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{Answer, TestApp, minimal};

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/api/v1/exports",
        "/api/v1/export/",
        "/api/v1/export/1/2/3",
    ] {
        app.get(path).await.assert_problem(404, "unknown_route");
    }
    let answer = Answer::to(app.anonymous(Method::GET, "/x")).await;
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn a_method_that_is_not_there_is_a_problem() {
    let app = TestApp::start().await;
    let answer = Answer::to(app.request(Method::PUT, "/api/v1/export")).await;
    answer.assert_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
    let answer = Answer::to(app.request(Method::POST, "/api/v1/export/1")).await;
    answer.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_callers_request_id_comes_back() {
    let app = TestApp::start().await;
    let ask =
        |id: &'static str| Answer::to(app.anonymous(Method::GET, "/x").header("x-request-id", id));
    let answer = ask("from-the-gateway_1").await;
    assert_eq!(answer.header("x-request-id"), "from-the-gateway_1");
    assert_eq!(answer.body["request_id"], "from-the-gateway_1");
    let answer = ask("\"><script>").await;
    assert_eq!(answer.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn every_answer_is_kept_out_of_caches() {
    let app = TestApp::start().await;
    for answer in [
        app.post(&minimal()).await,
        app.get("/healthz").await,
        app.get("/x").await,
    ] {
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

async fn raw(app: &TestApp, text: &str) -> String {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("the connection is closed in time")
        .unwrap();
    answer
}

#[tokio::test]
async fn a_client_that_sends_no_headers_is_cut_off() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.http.header_timeout_ms = 200)
        .start()
        .await;
    assert_eq!(raw(&app, "").await, "");
    assert_eq!(
        raw(&app, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").await,
        ""
    );
}

#[tokio::test]
async fn a_client_that_sends_its_body_too_slowly_is_told() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.http.request_timeout_ms = 200)
        .start()
        .await;
    let head = format!(
        "POST /api/v1/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        app.token()
    );
    let answer = raw(&app, &head).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains("retry-after: 5"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    insta::assert_json_snapshot!(body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused() {
    let app = TestApp::start().await;
    let request = |headers: &str| format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    // No more than that is sure to arrive: the service may close while there is more to read.
    let status = async |request: &str| {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        status
    };
    for headers in [
        format!("X-Large: {}\r\n", "x".repeat(20_000)),
        (0..120)
            .map(|n| format!("X-{n}: x\r\n"))
            .collect::<Vec<_>>()
            .concat(),
    ] {
        assert_eq!(&status(&request(&headers)).await, b"HTTP/1.1 431");
    }
    let fits = format!("X-Large: {}\r\n", "x".repeat(10_000));
    assert_eq!(&status(&request(&fits)).await, b"HTTP/1.1 200");
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_at_once() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.http.max_requests = NonZeroU16::MIN)
        .start()
        .await;
    let id = app.create().await;
    let path = format!("/api/v1/export/{id}");
    // A request whose body is awaited has the only place.
    let mut slow = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST /api/v1/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        app.token()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.unwrap();

    let answer = app.get(&path).await;
    answer.assert_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(app.get("/healthz").await.status, StatusCode::OK);
    let waits = app.get(&format!("{path}?wait=1")).await;
    assert_eq!(waits.status, StatusCode::OK);
    // Saying that one waits is not enough.
    let elsewhere = app.get("/api/v1/export/datasets?wait=1").await;
    elsewhere.assert_problem(503, "overloaded");

    slow.write_all(b"{}").await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 422");
    assert_eq!(app.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_configured_origins_may_call() {
    const PAGE: &str = "https://app.example.com";
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| {
            config.http.cors_origins = vec![PAGE.to_owned().try_into().unwrap()];
        })
        .start()
        .await;
    let preflight = |origin: &'static str| {
        let request = app.anonymous(Method::OPTIONS, "/api/v1/export");
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,idempotency-key",
            );
        Answer::to(request)
    };
    let answer = preflight(PAGE).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let allowed = answer.header("access-control-allow-headers");
    assert!(allowed.contains("idempotency-key"), "{allowed}");
    let answer = preflight("https://evil.example.com").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");

    // Whatever the answer is, the page may read it.
    let request = app.anonymous(Method::GET, "/api/v1/export");
    let answer = Answer::to(request.header("origin", PAGE)).await;
    answer.assert_problem(401, "token_missing");
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    let exposed = answer.header("access-control-expose-headers");
    for header in [
        "etag",
        "link",
        "location",
        "retry-after",
        "ratelimit",
        "x-request-id",
    ] {
        assert!(exposed.contains(header), "{exposed}");
    }
}

#[tokio::test]
async fn without_configured_origins_no_page_may_call() {
    let app = TestApp::start().await;
    let request = app.anonymous(Method::GET, "/healthz");
    let answer = Answer::to(request.header("origin", "https://app.example.com")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let answer = Answer::to(app.anonymous(Method::OPTIONS, "/api/v1/export")).await;
    answer.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let builder = TestApp::builder().await.with(|config| {
        config.http.max_connections = NonZeroU16::MIN;
        config.http.header_timeout_ms = 500;
    });
    let app = builder.start().await;
    let idle = TcpStream::connect(app.address).await.unwrap();
    let answer = Answer::to(app.anonymous(Method::GET, "/healthz")).await;
    assert_eq!(answer.status, StatusCode::OK);
    drop(idle);
}
