//! Bodies, paths and queries that mean harm, for every operation of the OpenAPI document.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::access::{ADMIN, token};
use crate::app::{Answer, TestApp, minimal};
use crate::openapi::{document, operations};

/// Texts that break out of whatever is put together from texts.
const HARMFUL: [&str; 12] = [
    "' OR '1'='1",
    "\"; DROP TABLE export_jobs; --",
    "\\",
    "{p0:String}",
    "$1",
    "../../../etc/passwd",
    "..%2f..%2f",
    "a\r\nX-Injected: yes",
    "%00",
    "%ff%fe",
    "<script>alert(1)</script>",
    "\u{202e}\u{0}\u{feff}",
];

/// A service that knows permissions, and an admin of it.
async fn start(change: impl FnOnce(&mut api::Config)) -> (TestApp, String) {
    let builder = TestApp::builder().await.with(|config| {
        config.auth.permissions_claims = vec!["scope".to_owned()];
        change(config);
    });
    let app = builder.start().await;
    let admin = token(app.user, app.organization, ADMIN);
    (app, admin)
}

/// Lists where a body is taken.
fn with_body(document: &Map<String, Value>) -> Vec<String> {
    let operations = operations(document).into_iter();
    let with_body = operations.filter(|(_, _, operation)| operation.get("requestBody").is_some());
    let paths: Vec<_> = with_body
        .map(|(method, path, _)| {
            assert_eq!(method, Method::POST, "{path}");
            path
        })
        .collect();
    assert!(paths.len() >= 3, "{paths:?}");
    paths
}

#[tokio::test]
async fn bodies_that_mean_harm_are_refused_alike() {
    let (app, admin) = start(|_| ()).await;
    let nested =
        |open: &str, close: &str| format!("{}1{}", open.repeat(50_000), close.repeat(50_000));
    let many = "[".to_owned() + &"0,".repeat(100_000) + "0]";
    for path in with_body(&document(&app).await) {
        let post = async |content_type: &'static str, body: String| {
            let request = app.anonymous(Method::POST, &path).bearer_auth(&admin);
            let request = request.header("content-type", content_type);
            Answer::to(request.body(body)).await
        };
        let json = async |body: String| post("application/json", body).await;
        for (body, status, code) in [
            ("x".repeat(300_000), 413, "body_too_large"),
            (
                format!("{{\"filters\":\"{}\"}}", "x".repeat(262_144)),
                413,
                "body_too_large",
            ),
            (nested("[", "]"), 400, "invalid_json"),
            (nested("{\"a\":", "}"), 413, "body_too_large"),
            (
                nested("{\"a\":", "}")[..200_000].to_owned(),
                400,
                "invalid_json",
            ),
            (
                r#"{"filters":{"a":1,"a":2}}"#.to_owned(),
                400,
                "invalid_json",
            ),
            (
                r#"{"filters":{"a":"\u0000"}}"#.to_owned(),
                400,
                "invalid_json",
            ),
            (r#"{"filters":{"a":1e999}}"#.to_owned(), 400, "invalid_json"),
            (r#"{"filters":{"a":NaN}}"#.to_owned(), 400, "invalid_json"),
            (String::new(), 400, "invalid_json"),
            ("null".to_owned(), 422, "invalid_request"),
            ("[]".to_owned(), 422, "invalid_request"),
            (many.clone(), 422, "invalid_request"),
            (
                r#"{"__proto__":{"admin":true}}"#.to_owned(),
                422,
                "invalid_request",
            ),
        ] {
            json(body).await.assert_problem(status, code);
        }
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
        ] {
            let answer = post(content_type, "{}".to_owned()).await;
            answer.assert_problem(415, "unsupported_media_type");
        }
        let zipped = app.anonymous(Method::POST, &path).bearer_auth(&admin);
        let zipped = zipped.header("content-type", "application/json");
        let zipped = Answer::to(zipped.header("content-encoding", "gzip").body("x")).await;
        zipped.assert_problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn every_text_of_a_body_is_only_a_text() {
    let (app, admin) = start(|config| config.limits.max_schedules = 10_000).await;
    let document = document(&app).await;
    for path in with_body(&document) {
        // What is there to be counted is not; a journey counts on real tables.
        if path.ends_with("/estimate") {
            continue;
        }
        let content = &document["paths"][&path]["post"]["requestBody"]["content"];
        let examples = content["application/json"]["examples"].as_object().unwrap();
        for example in examples.values() {
            for place in texts(&example["value"], "") {
                for harmful in HARMFUL {
                    let mut body = example["value"].clone();
                    *body.pointer_mut(&place).unwrap() = json!(harmful);
                    let request = app.anonymous(Method::POST, &path).bearer_auth(&admin);
                    let answer = Answer::to(request.json(&body)).await;
                    let status = answer.status.as_u16();
                    // Some texts are good ones, such as the value of a filter.
                    let is_expected = matches!(status, 200..=299 | 400 | 422);
                    assert!(is_expected, "{path} {place} {harmful:?}: {answer:?}");
                    // Only what is kept as it is may be anything.
                    let is_kept = ["/name", "/filters/", "/csv/"]
                        .iter()
                        .any(|kept| place.contains(kept));
                    let is_known = status >= 400 || is_kept;
                    assert!(is_known, "{path} {place} {harmful:?}");
                    assert!(answer.header("x-injected").is_empty());
                }
            }
        }
    }
}

/// Lists where an example has texts, as JSON pointers.
fn texts(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::String(_) => vec![at.to_owned()],
        Value::Array(elements) => {
            let elements = elements.iter().enumerate();
            let texts =
                elements.flat_map(|(index, element)| texts(element, &format!("{at}/{index}")));
            texts.collect()
        }
        Value::Object(members) => {
            let texts = members
                .iter()
                .flat_map(|(name, member)| texts(member, &format!("{at}/{name}")));
            texts.collect()
        }
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn paths_and_queries_that_mean_harm_lead_nowhere() {
    let (app, admin) = start(|_| ()).await;
    let id = app.create().await.to_string();
    for (method, path, operation) in operations(&document(&app).await) {
        let ask = async |path: &str| {
            let request = app.anonymous(method.clone(), path).bearer_auth(&admin);
            Answer::to(request).await
        };
        let parameters = operation["parameters"].as_array().cloned();
        for harmful in HARMFUL {
            let harmful: String = url::form_urlencoded::byte_serialize(harmful.as_bytes())
                .collect::<String>()
                .replace('+', "%20");
            if path.contains('{') {
                let answer =
                    ask(&path.replace("{id}", &harmful).replace("{token}", &harmful)).await;
                assert_eq!(answer.status, 404, "{method} {path} {harmful}: {answer:?}");
            }
            for parameter in parameters.iter().flatten() {
                if parameter["in"] == "query" {
                    let name = parameter["name"].as_str().unwrap();
                    let path = path.replace("{id}", &id);
                    let answer = ask(&format!("{path}?{name}={harmful}")).await;
                    // What a link that is dead is asked for means nothing.
                    if path.contains("{token}") {
                        assert_eq!(answer.status, 404, "{method} {path} {harmful}: {answer:?}");
                        continue;
                    }
                    answer.assert_problem(422, "invalid_request");
                    let pointer = &answer.body["errors"][0]["pointer"];
                    assert_eq!(*pointer, format!("/{name}"), "{method} {path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_comes_slowly_holds_nothing_up() {
    let (app, admin) = start(|config| config.http.request_timeout_ms = 300).await;
    for path in with_body(&document(&app).await) {
        let mut slow = TcpStream::connect(app.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        let (mut read, mut write) = slow.into_split();
        // A byte now and then, for as long as somebody listens.
        let drip = tokio::spawn(async move {
            while write.write_all(b"1\r\n \r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut answer = [0; 12];
        let answered = read.read_exact(&mut answer);
        let answered = tokio::time::timeout(Duration::from_secs(10), answered).await;
        answered.expect("an answer in time").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 503", "{path}");
        drip.abort();
    }
    let other = app
        .anonymous(Method::GET, "/api/v1/export")
        .bearer_auth(&admin);
    assert_eq!(Answer::to(other).await.status, 200);
}

#[tokio::test]
async fn headers_that_mean_harm_are_read_as_they_are() {
    let (app, admin) = start(|_| ()).await;
    let id = app.create().await;
    let path = format!("/api/v1/export/{id}");
    for harmful in [
        "W/\"",
        "*, *",
        "\"' OR '1'='1\"",
        "\"\\\"",
        &"\"a\",".repeat(2_000),
    ] {
        for name in [
            "if-none-match",
            "last-event-id",
            "x-forwarded-for",
            "user-agent",
            "traceparent",
        ] {
            let request = app.anonymous(Method::GET, &path).bearer_auth(&admin);
            let status = Answer::to(request.header(name, harmful)).await.status;
            assert!(
                [200, 304].contains(&status.as_u16()),
                "{name}: {harmful}: {status}"
            );
        }
    }
    let nobodys = format!("Bearer {}", Uuid::new_v4());
    for authorization in [
        "Bearer",
        "Bearer ",
        "bearer\t",
        "Basic eDp5",
        &nobodys,
        &"x".repeat(10_000),
    ] {
        let request = app
            .anonymous(Method::GET, &path)
            .header("authorization", authorization);
        assert_eq!(Answer::to(request).await.status, 401, "{authorization}");
    }
}

#[tokio::test]
async fn nothing_on_the_own_network_is_a_webhook_however_it_is_written() {
    let secrets = json!(["only for tests, never in production"]);
    let secrets = serde_json::from_value(secrets).unwrap();
    let (app, _) = start(|config| config.notify.webhook_secrets = secrets).await;
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.0x0.0x0.0x1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "127.0.0.1:8443",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "169.254.169.254",
        "2852039166",
        "0251.0376.0251.0376",
        "100.100.100.200",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ] {
        let mut body = minimal();
        body["options"] = json!({ "notify": { "webhook": format!("https://{host}/") } });
        let answer = app.post(&body).await;
        answer.assert_problem(422, "invalid_request");
        let wrong = &answer.body["errors"][0];
        assert_eq!(wrong["pointer"], "/options/notify/webhook", "{host}");
        assert_eq!(wrong["detail"], "must be at a public address", "{host}");
    }
}
