//! An export that recurs comes when its time comes, once, and says when it cannot.

use anyhow::{Context, Result, ensure};
use e2e::{ADMIN, Api, World, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::exports::events;

const PATH: &str = "/api/v1/export/schedules";

/// Lets a schedule be as often as cron can say.
const OFTEN: [(&str, &str); 1] = [("EXPORT__LIMITS__MIN_SCHEDULE_INTERVAL_S", "60")];

async fn made(api: &Api, body: &Value) -> Result<String> {
    let answer = api.send(Method::POST, PATH, Some(body)).await?;
    let (status, schedule) = (answer.status(), answer.json::<Value>().await?);
    ensure!(status == StatusCode::CREATED, "{status}: {schedule}");
    Ok(schedule["schedule_id"]
        .as_str()
        .context("an id")?
        .to_owned())
}

async fn shown(api: &Api, id: &str) -> Result<Value> {
    let (status, schedule) = api.get(&format!("{PATH}/{id}")).await?;
    ensure!(status == StatusCode::OK, "{status}: {schedule}");
    Ok(schedule)
}

fn daily() -> Value {
    json!({
        "name": "daily", "cron": "30 2 * * *", "time_zone": "Asia/Tokyo", "last": "day",
        "prefix": "nightly/errors", "export": { "data_type": "logs", "format": "csv" },
    })
}

/// Lets the next run have been due for so many days.
async fn overdue(world: &World, id: &str, days: i32) -> Result<()> {
    sqlx::query(
        "UPDATE export_schedules SET next_run_at = next_run_at - make_interval(days => $2)
         WHERE schedule_id = $1::uuid",
    )
    .bind(id)
    .bind(days)
    .execute(&mut world.postgres().await?)
    .await?;
    Ok(())
}

/// Waits until a schedule has made a job, and returns both.
async fn ran(api: &Api, id: &str) -> Result<(Value, String)> {
    eventually("a run", async || {
        let schedule = shown(api, id).await?;
        let job = schedule["last_job_id"].as_str().map(str::to_owned);
        Ok(job.map(|job| (schedule, job)))
    })
    .await
}

#[tokio::test]
async fn an_export_comes_by_itself_when_the_minute_is_over() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&OFTEN).await?;
    let _worker = world.worker(&[]).await?;
    let mut body = daily();
    body["cron"] = json!("* * * * *");
    body["last"] = json!("hour");
    let id = made(&api, &body).await?;
    let next = shown(&api, &id).await?["next_run_at"].clone();
    let (schedule, job) = ran(&api, &id).await?;
    assert_eq!(schedule["last_run_at"], next);
    assert_eq!(
        (&schedule["status"], &schedule["error"]),
        (&json!("ACTIVE"), &Value::Null)
    );
    let job = api.completed(&job).await?;
    assert_eq!(job["schedule_id"], *id);
    world.mails(1).await?;
    Ok(())
}

#[tokio::test]
async fn many_workers_make_up_once_for_what_was_missed() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let id = made(&api, &daily()).await?;
    // No worker has run for ten days and some.
    overdue(&world, &id, 11).await?;
    let _workers = (
        world.worker(&[]).await?,
        world.worker(&[]).await?,
        world.worker(&[]).await?,
    );
    let (_, job) = ran(&api, &id).await?;
    let job = api.completed(&job).await?;
    assert_eq!(
        events(&world, job["job_id"].as_str().context("an id")?).await?[0],
        "requested"
    );
    world.check_invariants().await?;

    let (_, page) = api.get("/api/v1/export").await?;
    let listed = page["exports"].as_array().context("a list")?;
    assert_eq!(listed.len(), 1, "{page}");
    assert_eq!(listed[0]["schedule_id"], *id);
    // The day before the last time that it should have run.
    let schedule = shown(&api, &id).await?;
    let time = |value: &Value| -> Result<chrono::DateTime<chrono::Utc>> {
        Ok(value.as_str().context("a time")?.parse()?)
    };
    let (ran, next) = (
        time(&schedule["last_run_at"])?,
        time(&schedule["next_run_at"])?,
    );
    assert_eq!((next - ran).num_hours(), 24, "{schedule}");
    let before = ran - time(&job["end_time"])?;
    assert_eq!(
        before.num_minutes(),
        150,
        "from midnight to half past two: {job}"
    );
    let keys = world.objects().await?;
    let prefix = format!("{}/nightly/errors/", world.ours.organization);
    assert!(keys.keys().all(|key| key.starts_with(&prefix)), "{keys:?}");
    api.download(&job).await?;
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_cannot_run_says_so_and_goes_on() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let mut body = daily();
    body["export"]["columns"] = json!(["timestamp", "body"]);
    let id = made(&api, &body).await?;
    // As if the catalogue had lost a column since.
    let columns =
        r#"UPDATE export_schedules SET export = jsonb_set(export, '{columns,1}', '"lost"')"#;
    sqlx::query(columns)
        .execute(&mut world.postgres().await?)
        .await?;
    overdue(&world, &id, 1).await?;
    let _worker = world.worker(&[]).await?;
    let failing = eventually("the failure", async || {
        let schedule = shown(&api, &id).await?;
        Ok((schedule["status"] == "FAILING").then_some(schedule))
    })
    .await?;
    assert_eq!(failing["error"]["code"], "dataset_changed");
    let message = failing["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("/export/columns/1"), "{failing}");
    assert_eq!(failing["last_job_id"], Value::Null);

    let columns =
        r#"UPDATE export_schedules SET export = jsonb_set(export, '{columns,1}', '"body"')"#;
    sqlx::query(columns)
        .execute(&mut world.postgres().await?)
        .await?;
    overdue(&world, &id, 1).await?;
    let (schedule, job) = ran(&api, &id).await?;
    assert_eq!(
        (&schedule["status"], &schedule["error"]),
        (&json!("ACTIVE"), &Value::Null)
    );
    let job = api.completed(&job).await?;

    let answer = api
        .send(Method::DELETE, &format!("{PATH}/{id}"), None)
        .await?;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    api.download(&job).await?;
    world.check_invariants().await
}

#[tokio::test]
async fn a_schedule_that_fails_holds_up_no_other_and_comes_when_that_is_mended() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let sound = made(&api, &daily()).await?;
    let unreadable = made(&api, &daily()).await?;
    let mut body = daily();
    body["prefix"] = json!("refused");
    let refused = made(&api, &body).await?;
    let mut postgres = world.postgres().await?;
    let run = async |sql: &'static str, postgres: &mut PgConnection| {
        sqlx::raw_sql(sql).execute(postgres).await
    };
    sqlx::query("UPDATE export_schedules SET cron = 'once' WHERE schedule_id = $1::uuid")
        .bind(&unreadable)
        .execute(&mut postgres)
        .await?;
    let refuse = "ALTER TABLE export_jobs ADD CONSTRAINT refused CHECK (key_prefix <> 'refused')";
    run(refuse, &mut postgres).await?;
    for (days, schedule) in [(3, &unreadable), (2, &refused), (1, &sound)] {
        overdue(&world, schedule, days).await?;
    }
    let _worker = world.worker(&[]).await?;
    let (_, job) = ran(&api, &sound).await?;
    api.completed(&job).await?;

    run(
        "ALTER TABLE export_jobs DROP CONSTRAINT refused;
         UPDATE export_schedules SET cron = '30 2 * * *' WHERE cron = 'once'",
        &mut postgres,
    )
    .await?;
    for schedule in [&refused, &unreadable] {
        let (schedule, _) = ran(&api, schedule).await?;
        assert_eq!(schedule["status"], "ACTIVE", "{schedule}");
    }
    Ok(())
}

#[tokio::test]
async fn a_schedule_of_a_user_who_is_gone_says_so() -> Result<()> {
    let world = World::new().await?;
    let api = world
        .api(&[("EXPORT__AUTH__PERMISSIONS_CLAIMS", r#"["scope"]"#)])
        .await?;
    let _worker = world.worker(&[]).await?;
    let id = made(&api, &daily()).await?;
    let sql = "UPDATE export_schedules SET user_id = gen_random_uuid()";
    sqlx::query(sql)
        .execute(&mut world.postgres().await?)
        .await?;
    overdue(&world, &id, 1).await?;
    let admin = world.colleague(ADMIN).await?;
    let path = format!("/api/v1/export/schedules/{id}");
    let schedule = eventually("the failure", async || {
        let schedule: Value = api.get_as(&admin, &path).await?.json().await?;
        Ok((schedule["status"] == "FAILING").then_some(schedule))
    })
    .await?;
    assert_eq!(schedule["error"]["code"], "unknown_principal");
    assert_eq!(schedule["last_job_id"], Value::Null);
    Ok(())
}
