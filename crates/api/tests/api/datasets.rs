//! `GET /api/v1/export/datasets`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, minimal};

const PATH: &str = "/api/v1/export/datasets";

#[tokio::test]
async fn a_form_learns_what_there_is() {
    let app = TestApp::start().await;
    let answer = app.get(PATH).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    let names = |list: &Value| -> Vec<_> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&answer.body["datasets"]),
        [
            "logs",
            "metrics",
            "metrics_exponential_histogram",
            "metrics_histogram",
            "metrics_summary",
            "profiles",
            "traces"
        ]
    );
    insta::assert_json_snapshot!(answer.body["datasets"][0]);
    insta::assert_json_snapshot!(answer.body["formats"]);
}

#[tokio::test]
async fn whatever_is_offered_can_be_asked_for() {
    let app = TestApp::start().await;
    let offer = app.get(PATH).await.body;
    for dataset in offer["datasets"].as_array().unwrap() {
        let columns: Vec<_> = dataset["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].clone())
            .collect();
        for format in offer["formats"].as_array().unwrap() {
            for compression in format["compressions"].as_array().unwrap() {
                let mut body = minimal();
                body["data_type"] = dataset["name"].clone();
                body["columns"] = json!(columns);
                body["format"] = format["format"].clone();
                body["compression"] = compression.clone();
                let answer = app.post(&body).await;
                assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let app = TestApp::start().await;
    let first = app.get(PATH).await;
    let etag = first.header("etag");
    let again = |etag: &str| {
        let request = app.request(Method::GET, PATH);
        Answer::to(request.header("if-none-match", etag))
    };
    let unchanged = again(etag).await;
    assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
    assert_eq!(unchanged.header("etag"), etag);
    assert_eq!(unchanged.body, Value::Null);
    assert_eq!(again("\"another\"").await.body, first.body);
}

#[tokio::test]
async fn the_path_is_no_export() {
    let app = TestApp::start().await;
    let anonymous = Answer::to(app.anonymous(Method::GET, PATH)).await;
    anonymous.assert_problem(401, "token_missing");
    let deleted = Answer::to(app.request(Method::DELETE, PATH)).await;
    deleted.assert_problem(405, "method_not_allowed");
}
