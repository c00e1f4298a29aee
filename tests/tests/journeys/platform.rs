//! In the database of the platform, with its tables and with a role for each program.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use devstack::{Env, Mailbox, fresh_database};
use e2e::{Api, World, eventually, migrate};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

use crate::exports::events;

const SPECIFICATION: &str = include_str!("../../../crates/devstack/sql/platform/specification.sql");

/// The database of the specification, with a role for each program, as docs/operating.md has them.
struct Platform {
    world: World,
    api_url: String,
    worker_url: String,
}

/// Returns the SQL of a heading of docs/operating.md, block by block.
fn documented(heading: &str) -> Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let text = std::fs::read_to_string(path)?;
    let (_, section) = text.split_once(heading).context("the heading")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sql\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    Ok(blocks.map(str::to_owned).collect())
}

async fn run(url: &str, script: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut connection)
        .await?;
    Ok(connection.close().await?)
}

fn as_role(url: &str, role: &str, password: &str) -> Result<String> {
    let mut url = Url::parse(url)?;
    let changed = url
        .set_username(role)
        .and_then(|()| url.set_password(Some(password)));
    ensure!(changed.is_ok(), "the URL has no user");
    Ok(url.into())
}

impl Platform {
    async fn new() -> Result<Self> {
        let env = Env::shared().clone();
        let owner = fresh_database(&env).await?;
        run(&owner, SPECIFICATION).await?;
        let platform = "CREATE ROLE telemetryflow LOGIN PASSWORD 'of-the-platform';
                        ALTER TABLE export_jobs OWNER TO telemetryflow";
        run(&owner, platform).await?;
        let [before, after] = &documented("### Roles\n")?[..] else {
            anyhow::bail!("two blocks are documented")
        };
        run(&owner, before).await?;
        let migrator = as_role(&owner, "export_migrate", "choose-one")?;
        migrate(&migrator).await?;
        run(&migrator, after).await?;
        Ok(Self {
            api_url: as_role(&owner, "export_api", "choose-another")?,
            worker_url: as_role(&owner, "export_worker", "choose-a-third")?,
            world: World::in_database(env, owner).await?,
        })
    }
}

/// Everything that either of the programs does to the database, with no right too many.
#[tokio::test]
async fn three_roles_are_enough_for_all_that_users_do() -> Result<()> {
    let Platform {
        world,
        api_url,
        worker_url,
    } = Platform::new().await?;
    world.seed("otel", &world.ours, 3_000).await?;
    let api = world
        .api(&[
            ("EXPORT__POSTGRES__URL", &api_url),
            ("EXPORT__HTTP__PUBLIC_URL", "http://exports.test"),
            ("EXPORT__RATE_LIMIT__CREATE_PER_MINUTE", "1000"),
            ("EXPORT__QUOTAS__MAX_QUEUED", "1000"),
        ])
        .await?;
    let worker = world
        .worker(&[
            ("EXPORT__POSTGRES__URL", &worker_url),
            ("EXPORT__HTTP__PUBLIC_URL", "http://exports.test"),
            // Checkpoints, uploads in parts and several files.
            ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "500"),
            ("EXPORT__CLEANUP__SWEEP_INTERVAL_S", "1"),
        ])
        .await?;
    let (status, readiness) = api.get("/readyz").await?;
    ensure!(status == StatusCode::OK, "{readiness}");

    for body in [
        json!({"format": "csv", "options": {"notify": {"link": "service"}}}),
        json!({"format": "parquet"}),
        json!({"format": "json", "options": {"split": {"max_rows": 1000}}}),
    ] {
        let job = api.completed(&api.accepted(&body).await?).await?;
        ensure!(job["files"]["rows"] == 3_000, "{job}");
        let id = job["job_id"].as_str().context("an id")?;
        for path in ["manifest", "download?redirect=false&file=1"] {
            let (status, answer) = api.get(&format!("/api/v1/export/{id}/{path}")).await?;
            ensure!(status == StatusCode::OK, "{path}: {answer}");
        }
        for path in [format!("{id}/links"), id.to_owned()] {
            let path = format!("/api/v1/export/{path}");
            let answer = api.send(Method::DELETE, &path, None).await?;
            ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        }
    }
    world.mails(3).await?;
    let keyed = api
        .request(Method::POST, "/api/v1/export")
        .header("Idempotency-Key", "\"once\"")
        .json(&e2e::whole_request(&json!({}))?);
    for _ in 0..2 {
        let answer = keyed.try_clone().context("a body")?.send().await?;
        ensure!(
            answer.status() == StatusCode::ACCEPTED,
            "{}",
            answer.text().await?
        );
    }
    let path = scheduled(&api).await?;
    run(
        &world.env.postgres_url,
        "UPDATE export_schedules SET next_run_at = now()",
    )
    .await?;
    eventually("a run", async || {
        let (_, shown) = api.get(&path).await?;
        Ok(shown["last_job_id"].as_str().map(str::to_owned))
    })
    .await?;
    let answer = api.send(Method::DELETE, &path, None).await?;
    ensure!(answer.status().is_success(), "{}", answer.status());

    for name in ["API.log", "WORKER.log"] {
        let log = std::fs::read_to_string(world.dir.path().join(name))?;
        assert_eq!(denied(&log), Vec::<&str>::new(), "{name}");
    }
    drop(worker);
    let platform_url = as_role(&world.env.postgres_url, "telemetryflow", "of-the-platform")?;
    let inserted = format!(
        "INSERT INTO export_jobs (user_id, organization_id, data_type, format, start_time, end_time)
         VALUES ('{}', '{}', 'logs', 'csv', '2026-01-01Z', '2026-01-02Z')",
        world.ours.user, world.ours.organization
    );
    run(&platform_url, &inserted).await?;
    for (url, statement) in [
        (&api_url, "SELECT email FROM users"),
        (&worker_url, "SELECT email FROM users"),
        (&api_url, "SELECT email FROM export_recipients"),
        (&worker_url, "DELETE FROM export_jobs"),
        (&api_url, "UPDATE export_events SET ip = NULL"),
        (&platform_url, "DELETE FROM export_jobs"),
    ] {
        let refusal = run(url, statement).await.expect_err(statement);
        let refusal = format!("{refusal:#}");
        ensure!(
            refusal.contains("permission denied"),
            "{statement}: {refusal}"
        );
    }
    Ok(())
}

/// Makes a schedule and returns its path.
async fn scheduled(api: &Api) -> Result<String> {
    let schedule = json!({
        "name": "daily", "cron": "30 2 * * *", "time_zone": "UTC", "last": "day",
        "export": { "data_type": "logs", "format": "csv" },
    });
    let path = "/api/v1/export/schedules";
    let answer = api.send(Method::POST, path, Some(&schedule)).await?;
    let schedule: Value = answer.error_for_status()?.json().await?;
    let id = schedule["schedule_id"].as_str().context("an id")?;
    Ok(format!("{path}/{id}"))
}

/// Returns the lines of a log that tell of a right that is missing.
fn denied(log: &str) -> Vec<&str> {
    let lines = log.lines();
    lines
        .filter(|line| line.contains("permission denied"))
        .collect()
}

/// Inserts a row as another module does, and returns its id.
async fn insert(world: &World, data_type: &str, filters: &Value) -> Result<String> {
    let (user, organization) = (world.ours.user, world.ours.organization);
    let id: uuid::Uuid = sqlx::query_scalar(
        "INSERT INTO export_jobs (user_id, organization_id, data_type, format, start_time, end_time,
                                  filters)
         VALUES ($1, $2, $3, 'csv', '2026-01-01Z', '2026-01-02Z', $4) RETURNING job_id",
    )
    .bind(user)
    .bind(organization)
    .bind(data_type)
    .bind(filters)
    .fetch_one(&mut world.postgres().await?)
    .await?;
    Ok(id.to_string())
}

#[tokio::test]
async fn a_row_that_another_module_inserts_becomes_a_file() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 300).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let filters = json!({"severity_text": ["ERROR", "WARN"]});
    let inserted = insert(&world, "logs", &filters).await?;
    let inserted = api.completed(&inserted).await?;
    let posted = api.accepted(&json!({"filters": filters})).await?;
    let posted = api.completed(&posted).await?;
    for member in ["file", "compression", "options", "filters", "rows_exported"] {
        assert_eq!(inserted[member], posted[member], "{member}");
    }
    ensure!(inserted["rows_exported"].as_u64() > Some(0), "{inserted}");
    let trail = events(&world, inserted["job_id"].as_str().context("an id")?).await?;
    assert_eq!(trail, ["requested", "started", "completed"]);
    world.mails(2).await?;
    Ok(())
}

async fn failed(api: &Api, id: &str) -> Result<Value> {
    eventually("the end", async || {
        let (status, job) = api.get(&format!("/api/v1/export/{id}")).await?;
        ensure!(status == StatusCode::OK, "{status}: {job}");
        Ok((job["status"] == "FAILED").then_some(job))
    })
    .await
}

#[tokio::test]
async fn a_row_that_is_not_valid_fails_and_says_why() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let mut messages = Vec::new();
    for (data_type, filters) in [
        ("Logs", json!(null)),
        ("spreadsheets", json!(null)),
        ("logs", json!({"colour": "red"})),
        ("logs", json!(["severity_text"])),
    ] {
        let id = insert(&world, data_type, &filters).await?;
        let job = failed(&api, &id).await?;
        assert_eq!(job["data_type"], data_type);
        messages.push(
            job["error"]["message"]
                .as_str()
                .context("a message")?
                .to_owned(),
        );
        let (status, problem) = api.get(&format!("/api/v1/export/{id}/download")).await?;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::CONFLICT, &json!("export_failed"))
        );
    }
    let (_, page) = api.get("/api/v1/export?status=FAILED").await?;
    assert_eq!(page["exports"].as_array().map(Vec::len), Some(4));
    insta::assert_snapshot!(messages.join("\n"), @r#"
    The request of this export is not valid. /data_type: must be lower-case letters, digits and underscores
    The dataset, a column or a filter of this export does not exist. /data_type: is unknown; known are logs, metrics, metrics_exponential_histogram, metrics_histogram, metrics_summary, traces
    The dataset, a column or a filter of this export does not exist. /filters/colour: the field "colour" is unknown; known are timestamp, trace_id, span_id, trace_flags, severity_text, severity_number, service_name, body, resource_schema_url, resource_attributes.<key>, scope_schema_url, scope_name, scope_version, scope_attributes.<key>, attributes.<key>
    The request of this export is not valid. /filters: must be an object
    "#);
    Ok(())
}

#[tokio::test]
async fn jobs_that_were_there_are_listed_and_run() -> Result<()> {
    let env = Env::shared().clone();
    let database = fresh_database(&env).await?;
    run(&database, SPECIFICATION).await?;
    run(
        &database,
        "INSERT INTO organizations (organization_id, name)
         VALUES ('0a000000-0000-4000-8000-00000000ac3e', 'Acme');
         INSERT INTO users (user_id, organization_id, email)
         VALUES ('0a000000-0000-4000-8000-000000000ada', '0a000000-0000-4000-8000-00000000ac3e',
                 'ada-of-the-platform@example.test');
         INSERT INTO export_jobs (user_id, organization_id, data_type, format, start_time, end_time,
                                  status, file_url, file_size, error_message, completed_at)
         SELECT user_id, organization_id, 'logs', 'csv', '2026-01-01', '2026-01-02', row.*
         FROM users, (VALUES
             ('PENDING', NULL, NULL, NULL, NULL), ('PROCESSING', NULL, NULL, NULL, NULL),
             ('COMPLETED', 'https://files.example.test/1.csv', 42, NULL, '2026-01-03'::timestamp),
             ('FAILED', NULL, NULL, 'Disk full', '2026-01-03')
         ) AS row",
    )
    .await?;
    migrate(&database).await?;
    let mut world = World::in_database(env, database).await?;
    world.ours.organization = "0a000000-0000-4000-8000-00000000ac3e".parse()?;
    world.ours.user = "0a000000-0000-4000-8000-000000000ada".parse()?;
    world.seed("otel", &world.ours, 100).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let jobs = eventually("both jobs", async || {
        let (status, page) = api.get("/api/v1/export?status=COMPLETED").await?;
        ensure!(status == StatusCode::OK, "{page}");
        let jobs = page["exports"].as_array().context("a list")?;
        Ok((jobs.len() == 3).then(|| jobs.clone()))
    })
    .await?;
    let (adopted, run): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .partition(|job| !job["adopted_file"].is_null());
    let [adopted] = &adopted[..] else {
        anyhow::bail!("one was completed before: {adopted:?}")
    };
    assert_eq!(
        adopted["adopted_file"],
        json!({"url": "https://files.example.test/1.csv", "size_bytes": 42})
    );
    assert_eq!(adopted["completed_at"], "2026-01-03T00:00:00Z");
    let id = adopted["job_id"].as_str().context("an id")?;
    for path in ["download", "manifest"] {
        let (status, problem) = api.get(&format!("/api/v1/export/{id}/{path}")).await?;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::CONFLICT, &json!("adopted_file"))
        );
    }
    for job in run {
        assert_eq!(job["file"]["rows"], 100, "{job}");
    }
    let (_, page) = api.get("/api/v1/export?status=FAILED").await?;
    assert_eq!(page["exports"][0]["error"]["message"], "Disk full");
    let mailbox = Mailbox::new(&world.env.mailbox_url);
    eventually("the mails", async || {
        let mails = mailbox
            .messages_to("ada-of-the-platform@example.test")
            .await?;
        Ok((mails.len() == 2).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_user_who_cannot_be_reached_holds_up_nobody() -> Result<()> {
    let world = World::new().await?;
    let colleague = world.colleague(e2e::MEMBER).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    run(
        &world.env.postgres_url,
        "ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
    )
    .await?;
    let mut postgres = world.postgres().await?;
    for (change, reason) in [
        ("email = NULL", "the user has no e-mail address"),
        ("is_active = false", "the user is not active"),
    ] {
        let sql = format!("UPDATE users SET {change} WHERE user_id = $1");
        sqlx::query(AssertSqlSafe(sql))
            .bind(world.ours.user)
            .execute(&mut postgres)
            .await?;
        let job = api.completed(&api.accepted(&json!({})).await?).await?;
        let id = job["job_id"].as_str().context("an id")?;
        let told: String = eventually("the end of the notification", async || {
            let sql = "SELECT last_error FROM export_notifications
                       WHERE job_id = $1::uuid AND status = 'FAILED'";
            Ok(sqlx::query_scalar(sql)
                .bind(id)
                .fetch_optional(&mut postgres)
                .await?)
        })
        .await?;
        assert_eq!(told, reason);
        assert!(events(&world, id).await?.contains(&"unnotified".to_owned()));
    }
    let body = e2e::whole_request(&json!({}))?;
    let answer = api
        .send_as(&colleague, Method::POST, "/api/v1/export", Some(&body))
        .await?;
    ensure!(
        answer.status() == StatusCode::ACCEPTED,
        "{}",
        answer.status()
    );
    let mailbox = Mailbox::new(&world.env.mailbox_url);
    eventually("the mail of the colleague", async || {
        let mails = mailbox.messages_to(&colleague.email).await?;
        Ok((!mails.is_empty()).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_user_who_is_not_active_has_no_new_runs() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let path = scheduled(&api).await?;
    for active in [false, true] {
        let sql = format!(
            "UPDATE users SET is_active = {active};
             UPDATE export_schedules SET next_run_at = now() - interval '1 day'"
        );
        run(&world.env.postgres_url, &sql).await?;
        let shown = eventually("a run", async || {
            let (_, shown) = api.get(&path).await?;
            let ran = if active {
                !shown["last_job_id"].is_null()
            } else {
                !shown["error"].is_null()
            };
            Ok(ran.then_some(shown))
        })
        .await?;
        if active {
            assert_eq!(shown["error"], Value::Null);
        } else {
            assert_eq!(shown["error"]["code"], "user_inactive");
            assert_eq!(shown["last_job_id"], Value::Null);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_that_is_behind_is_told_and_waited_for() -> Result<()> {
    let world = World::new().await?;
    run(
        &world.env.postgres_url,
        "CREATE TABLE kept AS SELECT * FROM export_migrations;
         DELETE FROM export_migrations WHERE version = (SELECT max(version) FROM kept);
         ALTER TABLE export_notifications RENAME TO elsewhere",
    )
    .await?;
    let api = world.api(&[]).await?;
    let (status, readiness) = api.get("/readyz").await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        readiness["dependencies"]["postgres"]["detail"],
        "The schema is behind: run migrate."
    );
    let port = devstack::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let health = format!("http://{listen}/healthz");
    let starting = world.worker_at(port, &[]);
    let telling = async {
        eventually("what the worker says", async || {
            let Ok(answer) = reqwest::get(&health).await else {
                return Ok(None);
            };
            let status = answer.status();
            let text = answer.text().await?;
            Ok((text == "The schema is behind: run migrate.").then_some(status))
        })
        .await?;
        run(
            &world.env.postgres_url,
            "ALTER TABLE elsewhere RENAME TO export_notifications;
             INSERT INTO export_migrations SELECT * FROM kept ON CONFLICT DO NOTHING",
        )
        .await
    };
    // It is ready once somebody has migrated.
    let (_worker, ()) = tokio::try_join!(starting, telling)?;
    api.completed(&api.accepted(&json!({})).await?).await?;
    Ok(())
}
