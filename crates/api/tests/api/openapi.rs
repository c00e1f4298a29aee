//! `GET /openapi.json` and `GET /docs`.

use std::path::Path;
use std::{env, fs};

use api::ProblemCode;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};
use uuid::Uuid;

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
    assert_eq!(operations.len(), 12);
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
    let body = &document["paths"]["/api/v1/export"]["post"]["requestBody"];
    let examples = &body["content"]["application/json"]["examples"];
    let examples = examples.as_object().unwrap();
    assert_eq!(examples.len(), 4);
    for (name, example) in examples {
        let answer = app.post(&example["value"]).await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{name}: {}",
            answer.body
        );
    }
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
