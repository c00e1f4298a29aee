//! `GET /openapi.json` and `GET /docs`.

use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use api::ProblemCode;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::access::{ADMIN, token};
use crate::app::{Answer, TestApp};

pub(crate) async fn document(app: &TestApp) -> Map<String, Value> {
    let answer = Answer::to(app.anonymous(Method::GET, "/openapi.json")).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.body.as_object().unwrap().clone()
}

/// Lists the operations: the method, the path and what is said about them.
pub(crate) fn operations(document: &Map<String, Value>) -> Vec<(Method, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| -> Vec<(Method, String)> {
        let methods = item.as_object().unwrap().keys();
        methods
            .map(|method| (method.to_uppercase().parse().unwrap(), path.clone()))
            .collect()
    };
    paths
        .iter()
        .flat_map(of_path)
        .map(|(method, path)| {
            let operation = &paths[&path][method.as_str().to_lowercase()];
            (method, path, operation)
        })
        .collect()
}

#[tokio::test]
async fn the_committed_document_is_what_is_served() {
    let app = TestApp::start().await;
    let served = serde_json::to_string_pretty(&document(&app).await).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, &served).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == served,
        "docs/openapi.json is stale; run the tests with INSTA_UPDATE=always"
    );
}

#[tokio::test]
async fn every_operation_is_there() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert_eq!(operations.len(), 19);
    for (method, path, operation) in operations {
        let path = path.replace("{id}", &Uuid::new_v4().to_string());
        let answer = Answer::to(app.anonymous(method.clone(), &path)).await;
        let is_open = operation.get("security").is_none();
        let expected = match &*path {
            "/api/v1/links/{token}" => StatusCode::NOT_FOUND,
            _ if is_open => StatusCode::OK,
            _ => StatusCode::UNAUTHORIZED,
        };
        assert_eq!(answer.status, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn requests_of_the_examples_are_accepted() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let mut bodies = 0;
    for (method, path, operation) in operations(&document) {
        let Some(body) = operation.get("requestBody") else {
            continue;
        };
        bodies += 1;
        assert_eq!(body["required"], true, "{method} {path}");
        let examples = &body["content"]["application/json"]["examples"];
        let examples = examples.as_object().unwrap();
        assert!(!examples.is_empty(), "{method} {path}");
        for (name, example) in examples {
            // What is there to be counted is not; but the body is that of an export.
            let path = path.replace("/estimate", "");
            let request = app.request(method.clone(), &path).json(&example["value"]);
            let answer = Answer::to(request).await;
            let text = format!("{path} {name}: {}", answer.body);
            assert!(answer.status.is_success(), "{text}");
        }
    }
    assert_eq!(bodies, 3);
}

/// Returns the members of an object, which an example has as an answer has them.
fn members(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[tokio::test]
async fn every_answer_has_an_example_like_it() {
    let secrets = json!(["a secret of this service that is long enough"]);
    let builder = TestApp::builder().await.with(|config| {
        config.notify.webhook_secrets = serde_json::from_value(secrets).unwrap();
        config.auth.permissions_claims = vec!["scope".to_owned()];
    });
    let app = builder.start().await;
    let document = document(&app).await;
    let admin = token(app.user, app.organization, ADMIN);
    let id = app.completed("key", Duration::from_hours(1)).await;
    let schedules = "/api/v1/export/schedules";
    let body = &document["paths"][schedules]["post"]["requestBody"];
    let example = &body["content"]["application/json"]["examples"]["daily"]["value"];
    let schedule = Answer::to(app.request(Method::POST, schedules).json(example)).await;
    let schedule = schedule.body["schedule_id"].as_str().unwrap().to_owned();
    let mut compared = 0;
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                let examples = content["examples"].as_object();
                let examples = examples.unwrap_or_else(|| panic!("{method} {path} {status}"));
                assert!(!examples.is_empty(), "{method} {path} {status}");
                if media_type != "application/json" || status != "200" || method != Method::GET {
                    continue;
                }
                let path = path.replace("schedules/{id}", &format!("schedules/{schedule}"));
                let path = path.replace("{id}", &id.to_string());
                let path = path.replace("/download", "/download?redirect=false");
                let request = app.anonymous(method.clone(), &path).bearer_auth(&admin);
                let answer = Answer::to(request).await;
                assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
                assert_eq!(members(&answer.body), members(&examples["answer"]["value"]));
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 11);
}

#[tokio::test]
async fn every_problem_has_an_example() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let examples = document["components"]["schemas"]["Problem"]["examples"].clone();
    let examples = examples.as_array().unwrap();
    assert_eq!(examples.len(), ProblemCode::ALL.len());
    for (code, example) in ProblemCode::ALL.iter().zip(examples) {
        assert_eq!(example["code"], code.as_str());
        assert_eq!(example["status"], code.status().as_u16());
    }
    let mut shown = Vec::new();
    for (_, _, operation) in operations(&document) {
        for response in operation["responses"].as_object().unwrap().values() {
            let content = &response["content"]["application/problem+json"];
            let codes = content["examples"].as_object();
            shown.extend(codes.into_iter().flat_map(Map::keys).cloned());
        }
    }
    for code in ProblemCode::ALL {
        let is_of_no_operation = matches!(
            code,
            ProblemCode::UnknownRoute | ProblemCode::MethodNotAllowed
        );
        let is_shown = shown.iter().any(|shown| shown == code.as_str());
        assert_ne!(is_shown, is_of_no_operation, "{}", code.as_str());
    }
}

#[tokio::test]
async fn the_list_of_problems_is_complete() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems.md");
    let text = fs::read_to_string(path).unwrap();
    for code in ProblemCode::ALL {
        let row = format!(
            "| `{}` | {} | {} |",
            code.as_str(),
            code.status().as_u16(),
            code.meaning()
        );
        assert!(text.contains(&row), "docs/problems.md lacks: {row}");
    }
}

#[tokio::test]
async fn the_page_needs_no_other_host() {
    let app = TestApp::start().await;
    for (path, content_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/style.css", "text/css; charset=utf-8"),
        ("/docs/script.js", "text/javascript; charset=utf-8"),
    ] {
        let response = app.anonymous(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], content_type);
        if path == "/docs" {
            let policy = response.headers()["content-security-policy"]
                .to_str()
                .unwrap();
            assert!(policy.starts_with("default-src 'none';"), "{policy}");
        }
        let text = response.text().await.unwrap();
        assert!(!text.contains("//") || path == "/docs/script.js", "{path}");
        assert!(
            !text.contains("http:") && !text.contains("https:"),
            "{path}"
        );
    }
}
