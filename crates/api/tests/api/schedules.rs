//! `/api/v1/export/schedules`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, TestApp};
use crate::tokens::{claims, hs256};

const PATH: &str = "/api/v1/export/schedules";

pub(crate) fn daily() -> Value {
    json!({
        "name": "Errors of the day", "cron": "30 2 * * *", "time_zone": "Europe/Berlin",
        "last": "day", "prefix": "nightly/errors",
        "export": {
            "data_type": "logs", "format": "csv",
            "filters": { "severity_text": "ERROR" },
        },
    })
}

async fn post(app: &TestApp, body: &Value) -> Answer {
    Answer::to(app.request(Method::POST, PATH).json(body)).await
}

async fn delete(app: &TestApp, path: &str) -> Answer {
    Answer::to(app.request(Method::DELETE, path)).await
}

fn pointers(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().unwrap();
    let pointers = errors.iter().map(|wrong| wrong["pointer"].as_str());
    pointers.map(Option::unwrap).collect()
}

#[tokio::test]
async fn a_schedule_is_made_shown_listed_and_deleted() {
    let app = TestApp::start().await;
    let made = post(&app, &daily()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    insta::assert_json_snapshot!(made.body, {
        ".schedule_id" => "[id]", ".user_id" => "[id]", ".next_run_at" => "[time]",
        ".created_at" => "[time]",
    });
    let path = made.header("location").to_owned();
    assert_eq!(
        path,
        format!("{PATH}/{}", made.body["schedule_id"].as_str().unwrap())
    );
    assert_eq!(app.get(&path).await.body, made.body);
    assert_eq!(app.get(PATH).await.body["schedules"], json!([made.body]));
    assert_eq!(delete(&app, &path).await.status, StatusCode::NO_CONTENT);
    app.get(&path)
        .await
        .assert_problem(404, "schedule_not_found");
    delete(&app, &path)
        .await
        .assert_problem(404, "schedule_not_found");
    assert_eq!(app.get(PATH).await.body["schedules"], json!([]));
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_hides_no_other_and_can_be_deleted() {
    let app = TestApp::start().await;
    let unreadable = post(&app, &daily()).await.header("location").to_owned();
    let sql = "UPDATE export_schedules SET time_zone = 'Europe/Atlantis'";
    sqlx::query(sql).execute(&app.pool).await.unwrap();
    let sound = post(&app, &daily()).await;
    let listed = app.get(PATH).await;
    assert_eq!(listed.body["schedules"], json!([sound.body]));
    app.get(&unreadable).await.assert_problem(500, "internal");
    assert_eq!(
        delete(&app, &unreadable).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn everything_wrong_is_said_at_once_and_where() {
    let app = TestApp::start().await;
    let wrong = json!({
        "name": " ", "cron": "* * * * *", "time_zone": "Europe/Berlin", "last": "decade",
        "prefix": "../theirs", "colour": "red",
        "export": {
            "data_type": "logs", "format": "csv", "columns": ["nonsense"],
            "options": { "notify": { "webhook": "https://example.com/" } },
        },
    });
    let answer = post(&app, &wrong).await;
    answer.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(answer.body["errors"]);
}

#[tokio::test]
async fn the_window_is_the_schedules() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.quotas.default.max_range_days = 7)
        .start()
        .await;
    let mut body = daily();
    body["export"]["start_time"] = json!("2026-01-01T00:00:00Z");
    let answer = post(&app, &body).await;
    answer.assert_problem(422, "invalid_request");
    assert_eq!(pointers(&answer), ["/export/start_time"]);
    let mut body = daily();
    body["last"] = json!("month");
    let answer = post(&app, &body).await;
    answer.assert_problem(422, "invalid_request");
    assert_eq!(pointers(&answer), ["/last"]);
}

#[tokio::test]
async fn an_organization_has_so_many_and_no_more() {
    let builder = TestApp::builder().await;
    let app = builder
        .with(|config| config.limits.max_schedules = 1)
        .start()
        .await;
    assert_eq!(post(&app, &daily()).await.status, StatusCode::CREATED);
    let answer = post(&app, &daily()).await;
    answer.assert_problem(409, "too_many_schedules");
}

#[tokio::test]
async fn nobody_sees_the_schedules_of_another_organization() {
    let app = TestApp::start().await;
    let made = post(&app, &daily()).await;
    let path = made.header("location");
    let (user, organization) = app.new_user().await;
    let token = hs256(&claims(user, organization));
    for method in [Method::GET, Method::DELETE] {
        let request = app.anonymous(method, path).bearer_auth(&token);
        Answer::to(request)
            .await
            .assert_problem(404, "schedule_not_found");
    }
    let listed = Answer::to(app.anonymous(Method::GET, PATH).bearer_auth(&token)).await;
    assert_eq!(listed.body["schedules"], json!([]));
    assert_eq!(app.get(path).await.status, StatusCode::OK);
    let nowhere = format!("{PATH}/{}", Uuid::new_v4());
    app.get(&nowhere)
        .await
        .assert_problem(404, "schedule_not_found");
    app.get(&format!("{PATH}/x"))
        .await
        .assert_problem(404, "schedule_not_found");
}
