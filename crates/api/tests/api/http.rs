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
