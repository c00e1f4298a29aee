//! `GET /api/v1/export`.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::JobId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, TestApp, minimal};
use crate::tokens::{claims, hs256};

const LIST: &str = "/api/v1/export";

fn ids(page: &Answer) -> Vec<JobId> {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let exports = page.body["exports"].as_array().unwrap();
    let id = |job: &Value| job["job_id"].as_str().unwrap().parse().unwrap();
    exports.iter().map(id).collect()
}

async fn list(app: &TestApp, query: &str) -> Vec<JobId> {
    ids(&app.get(&format!("{LIST}?{query}")).await)
}

/// Says when a job was requested.
async fn requested_at(app: &TestApp, id: JobId, time: &str) {
    sqlx::query("UPDATE export_jobs SET created_at = $2::text::timestamptz WHERE job_id = $1")
        .bind(id.as_uuid())
        .bind(time)
        .execute(&app.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_has_jobs_at_first() {
    let app = TestApp::start().await;
    let answer = app.get(LIST).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, json!({ "exports": [], "next": null }));
    assert_eq!(answer.header("link"), "");
}

#[tokio::test]
async fn a_job_is_listed_as_it_is_shown() {
    let app = TestApp::start().await;
    let id = app.completed("key", Duration::from_hours(1)).await;
    let listed = app.get(LIST).await;
    let shown = app.get(&format!("{LIST}/{id}")).await;
    assert_eq!(listed.body["exports"], json!([shown.body]));
}

#[tokio::test]
async fn a_job_that_cannot_be_read_hides_no_other() {
    let app = TestApp::start().await;
    let older = app.create().await;
    let unreadable = app.create().await;
    let sql = "UPDATE export_jobs
               SET status = 'FAILED', error_code = 'of_another_version', error_message = 'unknown',
                   completed_at = now()
               WHERE job_id = $1";
    sqlx::query(sql)
        .bind(unreadable.as_uuid())
        .execute(&app.pool)
        .await
        .unwrap();
    assert_eq!(list(&app, "limit=2").await, [older]);
    // A page of that one alone leads to the next.
    let page = app.get(&format!("{LIST}?limit=1")).await;
    assert_eq!(ids(&page), []);
    let next = page.body["next"].as_str().unwrap();
    assert_eq!(ids(&app.get(next).await), [older]);
}

#[tokio::test]
async fn pages_hold_each_job_once_newest_first() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for index in 0..7 {
        let id = app.create().await;
        // Three of one moment, so that pages end between them.
        let second = if index < 3 { 0 } else { index };
        requested_at(&app, id, &format!("2026-03-01T00:00:0{second}.000001Z")).await;
        expected.push((second, id));
    }
    expected.sort();
    expected.reverse();
    for limit in [1, 2, 3, 6, 7, 8] {
        let mut seen = Vec::new();
        let mut next = Some(format!("{LIST}?limit={limit}"));
        while let Some(path) = next {
            let page = app.get(&path).await;
            let listed = ids(&page);
            assert!(!listed.is_empty() && listed.len() <= limit);
            seen.extend(listed);
            next = page.body["next"].as_str().map(str::to_owned);
            let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
            assert_eq!(page.header("link"), link.unwrap_or_default());
            // What is requested in between is newer than all that follows.
            if seen.len() == limit && limit < 7 {
                let id = app.create().await;
                requested_at(&app, id, &format!("2026-04-01T00:00:00.00000{limit}Z")).await;
                expected.insert(0, (0, id));
            }
        }
        let newer = expected.len() - seen.len();
        assert!(newer <= 1, "{limit}");
        assert_eq!(
            seen,
            expected[newer..]
                .iter()
                .map(|(_, id)| *id)
                .collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn twenty_jobs_are_a_page() {
    let app = TestApp::start().await;
    for _ in 0..21 {
        app.create().await;
    }
    let first = app.get(LIST).await;
    assert_eq!(ids(&first).len(), 20);
    let second = app.get(first.body["next"].as_str().unwrap()).await;
    assert_eq!(ids(&second).len(), 1);
    assert_eq!(second.body["next"], Value::Null);
    let all: BTreeSet<_> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!(all.len(), 21);
}

#[tokio::test]
async fn jobs_are_found_by_status_dataset_and_time() {
    let app = TestApp::start().await;
    let cancelled = app.cancelled().await;
    let completed = app.completed("a", Duration::from_hours(1)).await;
    let overdue = app.completed("b", Duration::ZERO).await;
    let mut traces = minimal();
    traces["data_type"] = json!("traces");
    let traces = app.post(&traces).await.body["job_id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    for (day, id) in [(1, cancelled), (2, completed), (3, overdue), (4, traces)] {
        requested_at(&app, id, &format!("2026-03-0{day}T00:00:00Z")).await;
    }
    assert_eq!(list(&app, "status=CANCELLED").await, [cancelled]);
    assert_eq!(list(&app, "status=COMPLETED").await, [completed]);
    assert_eq!(
        list(&app, "status=EXPIRED").await,
        [overdue],
        "its time is over"
    );
    assert_eq!(list(&app, "status=PENDING").await, [traces]);
    assert_eq!(list(&app, "status=FAILED").await, []);
    assert_eq!(list(&app, "data_type=traces").await, [traces]);
    assert_eq!(list(&app, "data_type=logs&status=PENDING").await, []);
    let from_2_to_4 = "created_from=2026-03-02T00:00:00Z&created_to=2026-03-04T01:00:00%2B01:00";
    assert_eq!(list(&app, from_2_to_4).await, [overdue, completed]);
    let first = app.get(&format!("{LIST}?{from_2_to_4}&limit=1")).await;
    let second = app.get(first.body["next"].as_str().unwrap()).await;
    assert_eq!(
        (ids(&second), &second.body["next"]),
        (vec![completed], &Value::Null)
    );
}

#[tokio::test]
async fn only_ones_own_jobs_are_listed() {
    let app = TestApp::start().await;
    let own = app.create().await;
    let (other_user, other_organization) = app.new_user().await;
    let as_other = |user: Uuid, organization: Uuid| {
        app.anonymous(Method::GET, LIST)
            .bearer_auth(hs256(&claims(user, organization)))
    };
    for (user, organization) in [
        (other_user, app.organization),
        (app.user, other_organization),
        (other_user, other_organization),
    ] {
        let theirs = Answer::to(as_other(user, organization)).await;
        assert_eq!(ids(&theirs), []);
    }
    assert_eq!(list(&app, "").await, [own]);
}

#[tokio::test]
async fn links_are_absolute_below_the_public_address() {
    let builder = TestApp::builder().await.with(|config| {
        config.http.public_url = Some("https://export.example.com/telemetry".parse().unwrap());
    });
    let app = builder.start().await;
    app.create().await;
    app.create().await;
    let page = app.get(&format!("{LIST}?limit=1")).await;
    let next = page.body["next"].as_str().unwrap();
    let expected = "https://export.example.com/telemetry/api/v1/export?limit=1&cursor=";
    assert!(next.starts_with(expected), "{next}");
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let app = TestApp::start().await;
    let query = "status=DONE&data_type=Logs!&created_from=yesterday&created_to=2026-01-01T00:00:00\
                 &limit=101&cursor=abc&colour=red";
    let answer = app.get(&format!("{LIST}?{query}")).await;
    answer.assert_problem(422, "invalid_request");
    insta::assert_json_snapshot!(answer.body, { ".request_id" => "[request id]" });
    for query in [
        "limit=0",
        "limit=-1",
        "limit=1&limit=1",
        "status=pending",
        "status=",
        "data_type=%00",
        "created_from=0000-01-01T00:00:00Z",
        "created_from=2026-01-02T00:00:00Z&created_to=2026-01-02T00:00:00Z",
    ] {
        let answer = app.get(&format!("{LIST}?{query}")).await;
        answer.assert_problem(422, "invalid_request");
        assert_eq!(
            answer.body["errors"].as_array().unwrap().len(),
            1,
            "{query}"
        );
    }
    Answer::to(app.anonymous(Method::GET, LIST))
        .await
        .assert_problem(401, "token_missing");
}
