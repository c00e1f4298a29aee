//! In a database of the platform's: its users, its organizations, and an `export_jobs` of its own.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use domain::{ErrorCode, JobId, JobState, JobStatus, RequestLimits, UserId};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use store::jobs::{self, Claimed, Listed, Listing};
use store::recipients::{self, Recipient};
use store::{PostgresConfig, events};
use uuid::Uuid;

use crate::db::{Db, IDLE, empty, worker};

const SPECIFICATION: &str = include_str!("../../../devstack/sql/platform/specification.sql");
const OPEN_CORE: &str = include_str!("../../../devstack/sql/platform/open_core.sql");

/// An organization and a user, by the columns that both forms of the platform have.
const ADA: Uuid = Uuid::from_u128(0xada);
const ACME: Uuid = Uuid::from_u128(0xac3e);

async fn run(pool: &PgPool, script: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await?;
    Ok(())
}

/// Makes the database of the specification, with an organization and a user.
async fn specified() -> Result<(PostgresConfig, PgPool)> {
    let (config, pool) = empty().await?;
    run(&pool, SPECIFICATION).await?;
    run(
        &pool,
        &format!(
            "INSERT INTO organizations (organization_id, name) VALUES ('{ACME}', 'Acme');
             INSERT INTO users (user_id, organization_id, email)
             VALUES ('{ADA}', '{ACME}', 'ada@acme.test')"
        ),
    )
    .await?;
    Ok((config, pool))
}

fn db(pool: PgPool) -> Db {
    Db {
        pool,
        organization: ACME.into(),
        user: ADA.into(),
    }
}

async fn address(pool: &PgPool, user: Uuid) -> Result<Option<String>> {
    let mut conn = store::acquire(pool).await?;
    Ok(match recipients::find(&mut conn, user.into()).await? {
        Recipient::Reachable(address) => Some(address),
        _ => None,
    })
}

/// Inserts a row as another module does, and returns its id.
async fn insert(pool: &PgPool, more: &str, values: &str) -> Result<JobId> {
    let sql = format!(
        "INSERT INTO export_jobs (user_id, organization_id, {more})
         VALUES ('{ADA}', '{ACME}', {values}) RETURNING job_id"
    );
    let id: Uuid = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(pool)
        .await?;
    Ok(id.into())
}

#[tokio::test]
async fn users_of_the_specification_and_of_the_open_core_are_found() -> Result<()> {
    let (config, pool) = specified().await?;
    store::migrate(&config).await?;
    assert_eq!(address(&pool, ADA).await?.as_deref(), Some("ada@acme.test"));
    assert_eq!(db(pool).claimed().await?.attempts, 1);

    let (config, pool) = empty().await?;
    run(&pool, OPEN_CORE).await?;
    store::migrate(&config).await?;
    run(
        &pool,
        &format!(
            "WITH region AS (INSERT INTO regions (name) VALUES ('here') RETURNING region_id)
             INSERT INTO organizations (organization_id, name, code, region_id)
             SELECT '{ACME}', 'Acme', 'acme', region_id FROM region;
             INSERT INTO users (id, email, password) VALUES ('{ADA}', 'ada@acme.test', 'x')"
        ),
    )
    .await?;
    assert_eq!(address(&pool, ADA).await?.as_deref(), Some("ada@acme.test"));
    assert_eq!(db(pool).claimed().await?.attempts, 1);
    Ok(())
}

#[tokio::test]
async fn whatever_is_created_is_called_export() -> Result<()> {
    for platform in [SPECIFICATION, OPEN_CORE] {
        let (config, pool) = empty().await?;
        run(&pool, platform).await?;
        let names = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
                     UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                     UNION SELECT ltrim(typname, '_') FROM pg_type
                           WHERE typnamespace = 'public'::regnamespace";
        let before: Vec<String> = sqlx::query_scalar(names).fetch_all(&pool).await?;
        store::migrate(&config).await?;
        let after: Vec<String> = sqlx::query_scalar(names).fetch_all(&pool).await?;
        let created: Vec<_> = after
            .into_iter()
            .filter(|name| !before.contains(name))
            .collect();
        assert!(created.len() > 30, "{created:?}");
        for name in created {
            assert!(name.starts_with("export_"), "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn users_in_another_schema_are_not_hidden_by_empty_ones() -> Result<()> {
    let (config, pool) = specified().await?;
    run(&pool, "DROP TABLE export_jobs; CREATE SCHEMA exports").await?;
    let url = secrecy::ExposeSecret::expose_secret(&config.url);
    let elsewhere = PostgresConfig {
        url: format!("{url}?options=-c%20search_path%3Dexports%2Cpublic").into(),
        ..config.clone()
    };
    store::migrate(&elsewhere).await?;
    let pool = store::connect(&elsewhere, "store-test")?;
    let schemas: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT relnamespace::regnamespace::text FROM pg_class
         WHERE relname IN ('users', 'organizations')",
    )
    .fetch_all(&pool)
    .await?;
    assert_eq!(schemas, ["public"]);
    assert_eq!(address(&pool, ADA).await?.as_deref(), Some("ada@acme.test"));
    assert_eq!(db(pool).claimed().await?.attempts, 1);
    Ok(())
}

#[tokio::test]
async fn who_can_be_reached_is_told_by_the_columns_that_users_has() -> Result<()> {
    let (config, pool) = specified().await?;
    store::migrate(&config).await?;
    let gone = Uuid::from_u128(0xdead);
    for (change, reason) in [
        ("email = NULL", "without"),
        ("email = ' '", "without"),
        ("deleted_at = now()", "inactive"),
        ("is_active = false", "inactive"),
        ("is_active = NULL", "reachable"),
    ] {
        let reset = "UPDATE users SET email = 'a@b.test', deleted_at = NULL, is_active = true";
        run(&pool, &format!("{reset}; UPDATE users SET {change}")).await?;
        assert_eq!(told(&pool, ADA).await?, reason, "{change}");
    }
    assert_eq!(told(&pool, gone).await?, "unknown");
    Ok(())
}

async fn told(pool: &PgPool, user: Uuid) -> Result<&'static str> {
    let mut conn = store::acquire(pool).await?;
    Ok(
        match recipients::find(&mut conn, UserId::from(user)).await? {
            Recipient::Reachable(_) => "reachable",
            Recipient::WithoutAddress => "without",
            Recipient::Inactive => "inactive",
            Recipient::Unknown => "unknown",
        },
    )
}

#[tokio::test]
async fn the_view_of_recipients_may_be_another_one() -> Result<()> {
    let (config, pool) = specified().await?;
    store::migrate(&config).await?;
    run(
        &pool,
        "DROP VIEW export_recipients;
         CREATE VIEW export_recipients AS
             SELECT user_id, 'team@acme.test'::text AS email, true AS active FROM users",
    )
    .await?;
    store::migrate(&config).await?;
    assert_eq!(
        address(&pool, ADA).await?.as_deref(),
        Some("team@acme.test")
    );
    run(&pool, "DROP VIEW export_recipients").await?;
    let mut conn = store::acquire(&pool).await?;
    let Err(error) = recipients::find(&mut conn, ADA.into()).await else {
        bail!("there is no view")
    };
    assert!(error.to_string().contains("export_recipients"), "{error}");
    store::migrate(&config).await?;
    assert_eq!(address(&pool, ADA).await?.as_deref(), Some("ada@acme.test"));
    Ok(())
}

#[tokio::test]
async fn a_table_of_the_specification_is_taken_over_with_its_rows() -> Result<()> {
    let (config, pool) = specified().await?;
    // TIMESTAMP has no zone; the zone of the session must not matter.
    run(
        &pool,
        "ALTER DATABASE :db SET timezone = 'Asia/Kolkata'"
            .replace(":db", &database(&pool).await?)
            .as_str(),
    )
    .await?;
    run(
        &pool,
        &format!(
            "INSERT INTO export_jobs (user_id, organization_id, data_type, format, start_time,
                 end_time, filters, status, progress, file_url, file_size, error_message, created_at,
                 completed_at)
             SELECT '{ADA}', '{ACME}', 'logs', format, '2026-01-01 00:00:00', '2026-01-02 00:00:00',
                    filters::jsonb, status, progress, url, size, error, created::timestamp, ended::timestamp
             FROM (VALUES
                 ('csv', NULL, 'PENDING', 0, NULL, NULL, NULL, '2026-02-01 10:00', NULL),
                 ('json', '{{\"severity_text\": \"ERROR\"}}', 'PROCESSING', 40, NULL, NULL, NULL,
                  '2026-02-01 11:00', NULL),
                 ('parquet', NULL, 'COMPLETED', 100, 'https://files.test/1', 42, NULL,
                  '2026-02-01 12:00', '2026-02-01 12:30'),
                 ('csv', NULL, 'COMPLETED', 90, NULL, NULL, 'a warning', '2026-02-01 13:00', NULL),
                 ('csv', NULL, 'FAILED', 10, NULL, NULL, 'Disk full', '2026-02-01 14:00',
                  '2026-02-01 14:01'),
                 ('csv', NULL, 'FAILED', 0, NULL, NULL, NULL, NULL, NULL)
             ) AS row (format, filters, status, progress, url, size, error, created, ended)"
        ),
    )
    .await?;
    store::migrate(&config).await?;

    let db = db(store::connect(&config, "store-test")?);
    let listing = Listing {
        scope: db.scope(),
        status: None,
        data_type: None,
        created_from: None,
        created_to: None,
        after: None,
        limit: 100,
    };
    let mut conn = db.conn().await?;
    let listed = jobs::list(&mut conn, &listing).await?;
    let jobs: Vec<_> = listed
        .into_iter()
        .map(|Listed { job, .. }| job)
        .collect::<Result<_, _>>()?;
    let [undated, failed, unknown, completed, running, waiting] = &jobs[..] else {
        bail!("{} jobs", jobs.len())
    };
    let time = |text: &str| text.parse::<DateTime<Utc>>();
    assert_eq!(waiting.created_at, time("2026-02-01T10:00:00Z")?);
    for job in [waiting, running] {
        assert_eq!(job.state, JobState::Pending);
        assert_eq!(job.progress.percent(), 0);
        let request = job.request.as_ref().ok().context("a valid request")?;
        assert_eq!(request.range.start(), time("2026-01-01T00:00:00Z")?);
        assert_eq!(request.range.end(), time("2026-01-02T00:00:00Z")?);
    }
    assert_eq!(
        completed.state,
        JobState::Adopted {
            url: Some("https://files.test/1".to_owned()),
            size_bytes: Some(42),
            completed_at: time("2026-02-01T12:30:00Z")?,
        }
    );
    assert_eq!(completed.state.status(), JobStatus::Completed);
    assert_eq!(
        unknown.state,
        JobState::Adopted {
            url: None,
            size_bytes: None,
            completed_at: time("2026-02-01T13:00:00Z")?,
        }
    );
    let JobState::Failed {
        failure,
        completed_at,
    } = &failed.state
    else {
        bail!("{:?}", failed.state)
    };
    assert_eq!(
        (failure.code, &*failure.message),
        (ErrorCode::Internal, "Disk full")
    );
    assert_eq!(*completed_at, time("2026-02-01T14:01:00Z")?);
    assert_eq!(undated.state.status(), JobStatus::Failed);

    let first = db.claim().await?.context("a job that waits")?;
    let second = db.claim().await?.context("a job that ran")?;
    let mut claimed = [first.job.id, second.job.id];
    let mut expected = [waiting.id, running.id];
    claimed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(claimed, expected);
    assert!(db.claim().await?.is_none());
    let trail = db.trail(waiting.id).await?;
    assert_eq!(trail, ["adopted", "started"]);
    Ok(())
}

async fn database(pool: &PgPool) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(pool)
        .await?)
}

#[tokio::test]
async fn a_table_that_differs_is_refused_by_name_and_stays() -> Result<()> {
    let (config, pool) = specified().await?;
    run(
        &pool,
        "ALTER TABLE export_jobs
             ADD COLUMN priority INTEGER,
             DROP COLUMN file_url,
             ALTER COLUMN file_size TYPE INTEGER,
             ALTER COLUMN status SET NOT NULL,
             ALTER COLUMN progress SET DEFAULT 1,
             DROP CONSTRAINT valid_format,
             ADD CONSTRAINT known CHECK (format IN ('csv', 'xlsx')),
             ADD UNIQUE (user_id, created_at),
             ENABLE ROW LEVEL SECURITY;
         CREATE UNIQUE INDEX one_at_a_time ON export_jobs (user_id) WHERE status = 'PENDING'",
    )
    .await?;
    let Err(error) = store::migrate(&config).await else {
        bail!("it was taken over")
    };
    let told = chain(&error);
    let told = told.split(" at line ").next().unwrap_or_default();
    insta::assert_snapshot!(told.replace("; ", ";\n"), @"
    the table export_jobs differs from the specification: row level security is enabled;
    the column file_size is integer, not bigint;
    the column file_url is missing;
    the column priority is not in the specification;
    the column status is NOT NULL;
    the constraint CHECK (((format)::text = ANY ((ARRAY['csv'::character varying, 'json'::character varying, 'parquet'::character varying])::text[]))) is missing;
    the constraint CHECK (((format)::text = ANY ((ARRAY['csv'::character varying, 'xlsx'::character varying])::text[]))) is not in the specification;
    the constraint UNIQUE (user_id, created_at) is not in the specification;
    the default of the column progress is 1, not 0;
    the unique index one_at_a_time is not in the specification
    ");
    let columns: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_attribute
         WHERE attrelid = 'export_jobs'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    .fetch_one(&pool)
    .await?;
    assert_eq!(columns, 15);
    // Once it is mended, nothing is in the way.
    run(&pool, "DROP TABLE export_jobs").await?;
    store::migrate(&config).await?;
    Ok(())
}

#[tokio::test]
async fn tables_without_the_keys_that_jobs_refer_to_are_refused() -> Result<()> {
    for (script, reason) in [
        (
            "CREATE TABLE organizations (id UUID PRIMARY KEY)",
            "the primary key of the table organizations is not the UUID column organization_id",
        ),
        (
            "CREATE TABLE users (id SERIAL PRIMARY KEY, email TEXT)",
            "the primary key of the table users is not a single UUID column",
        ),
        (
            "CREATE TABLE users (email TEXT)",
            "the primary key of the table users is not a single UUID column",
        ),
    ] {
        let (config, pool) = empty().await?;
        run(&pool, script).await?;
        let Err(error) = store::migrate(&config).await else {
            bail!("{script} was accepted")
        };
        assert!(chain(&error).starts_with(reason), "{}", chain(&error));
    }
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

const WINDOW: &str = "'2026-01-01', '2026-01-02'";

#[tokio::test]
async fn a_row_of_another_module_is_a_job() -> Result<()> {
    let (config, pool) = specified().await?;
    store::migrate(&config).await?;
    let db = db(pool);
    for (format, compression) in [("csv", "gzip"), ("json", "gzip"), ("parquet", "none")] {
        let columns = "data_type, format, start_time, end_time, filters";
        let filters = r#"'{"service_name": "checkout"}'"#;
        let values = format!("'logs', '{format}', {WINDOW}, {filters}");
        let id = insert(&db.pool, columns, &values).await?;
        let before = db.get(id).await?;

        let claim = db.claim().await?.context("the job is due")?;
        assert_eq!(claim.job.id, id);
        let posted = json!({
            "data_type": "logs", "format": format,
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
            "filters": { "service_name": "checkout" },
        });
        let posted = domain::ExportRequest::parse(&posted, &RequestLimits::NONE);
        assert_eq!(Ok(&claim.request), posted.as_ref());
        assert_eq!(
            before.request.ok(),
            posted.ok(),
            "also before a worker has it"
        );
        assert_eq!(claim.request.output.compression().as_str(), compression);
        let stored: (Option<String>, serde_json::Value) =
            sqlx::query_as("SELECT compression, options FROM export_jobs WHERE job_id = $1")
                .bind(id.as_uuid())
                .fetch_one(&db.pool)
                .await?;
        assert_eq!(stored, (Some(compression.to_owned()), json!({})));
        let mut conn = db.conn().await?;
        let trail = events::list(&mut conn, id, None, 10).await?;
        assert_eq!(db.trail(id).await?, ["requested", "started"]);
        assert_eq!(trail[0].at, before.created_at);
        assert_eq!(
            trail[0].actor.as_ref().and_then(|actor| actor.user),
            Some(db.user)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_row_that_makes_no_sense_fails_and_says_why() -> Result<()> {
    let (config, pool) = specified().await?;
    store::migrate(&config).await?;
    let db = db(pool);
    let mut reasons = Vec::new();
    for (columns, values) in [
        (
            "data_type, start_time, end_time",
            "'Logs & more', '2026-01-01', '2026-01-02'",
        ),
        (
            "data_type, start_time, end_time",
            "'logs', '2026-01-02', '2026-01-01'",
        ),
        (
            "data_type, start_time, end_time",
            "'logs', '0999-01-02', '9999-01-01'",
        ),
        (
            "data_type, start_time, end_time, filters",
            "'logs', '2026-01-01', '2026-01-02', '[1]'",
        ),
        (
            "data_type, start_time, end_time, filters",
            r#"'logs', '2026-01-01', '2026-01-02', '{"severity_number": 1e400}'"#,
        ),
        (
            "data_type, start_time, end_time, filters",
            "'logs', '2026-01-01', '2026-01-02', (repeat('[', 200) || repeat(']', 200))::jsonb",
        ),
        (
            "data_type, start_time, end_time, filters",
            r#"'logs', '2026-01-01', '2026-01-02', '{"field": "body", "op": "like", "value": 1}'"#,
        ),
    ] {
        let id = insert(
            &db.pool,
            &format!("format, {columns}"),
            &format!("'csv', {values}"),
        )
        .await?;
        assert_eq!(db.get(id).await?.state, JobState::Pending);
        let claimed = jobs::claim(&mut *db.conn().await?, &worker(1), &IDLE).await?;
        assert!(
            matches!(claimed, Claimed::Invalid(job) if job == id),
            "{values}"
        );
        let job = db.get(id).await?;
        let JobState::Failed { failure, .. } = job.state else {
            bail!("{values}: {:?}", job.state)
        };
        assert_eq!(failure.code, ErrorCode::InvalidRequest);
        reasons.push(failure.message);
        assert_eq!(db.trail(id).await?, ["requested", "started", "failed"]);
        assert!(db.claim().await?.is_none(), "it does not loop");
    }
    insta::assert_snapshot!(reasons.join("\n"), @"
    The request of this export is not valid. /data_type: must be lower-case letters, digits and underscores
    The request of this export is not valid. /end_time: must be after start_time
    The request of this export is not valid. /start_time: must be between the years 1900 and 2262; /end_time: must be between the years 1900 and 2262
    The request of this export is not valid. /filters: must be an object
    The request of this export is not valid. /filters: is nested too deeply, or has a number that is too large
    The request of this export is not valid. /filters: is nested too deeply, or has a number that is too large
    The request of this export is not valid. /filters/op: must be one of eq, ne, in, not_in, gt, gte, lt, lte, contains, icontains, starts_with, ends_with, matches, exists
    ");
    Ok(())
}
