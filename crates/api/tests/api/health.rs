//! `GET /healthz` and `GET /readyz`.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::app::{Answer, NOWHERE, TestApp};

async fn ask(app: &TestApp, path: &str) -> Answer {
    Answer::to(app.anonymous(Method::GET, path)).await
}

#[tokio::test]
async fn everything_is_up() {
    let app = TestApp::start().await;
    let answer = ask(&app, "/readyz").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    insta::assert_json_snapshot!(answer.body, { ".dependencies.*.latency_ms" => "[ms]" });
    let answer = ask(&app, "/healthz").await;
    assert_eq!(
        (answer.status, answer.body["status"].as_str()),
        (StatusCode::OK, Some("ok"))
    );
}

#[tokio::test]
async fn all_but_postgres_may_be_down_and_jobs_are_still_taken() {
    let builder = TestApp::builder().await.with(|config| {
        config.redis.url = SecretString::from(format!("redis://:pw@{NOWHERE}"));
        config.s3.endpoint = Some(format!("http://{NOWHERE}").parse().unwrap());
        config.clickhouse.url = format!("http://{NOWHERE}").parse().unwrap();
        config.http.ready_timeout_ms = 500;
    });
    let app = builder.start().await;
    let answer = ask(&app, "/readyz").await;
    assert_eq!(answer.status, StatusCode::OK);
    app.create().await;
    insta::assert_json_snapshot!(answer.body, { ".dependencies.*.latency_ms" => "[ms]" });
}

#[tokio::test]
async fn nothing_works_without_postgres_but_the_process_lives() {
    let builder = TestApp::builder().await.with(|config| {
        config.postgres.url = SecretString::from(format!("postgres://u:pw@{NOWHERE}/d"));
        config.http.ready_timeout_ms = 500;
    });
    let app = builder.start().await;
    let answer = ask(&app, "/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    insta::assert_json_snapshot!(answer.body, { ".dependencies.*.latency_ms" => "[ms]" });
    assert_eq!(ask(&app, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_dependency_that_hangs_is_down_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let builder = TestApp::builder().await.with(|config| {
        config.s3.endpoint = Some(format!("http://{address}").parse().unwrap());
        config.http.ready_timeout_ms = 300;
    });
    let app = builder.start().await;
    let begin = Instant::now();
    let answer = ask(&app, "/readyz").await;
    assert_eq!(answer.body["dependencies"]["s3"]["status"], "down");
    assert_eq!(answer.body["dependencies"]["redis"]["status"], "up");
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
}
