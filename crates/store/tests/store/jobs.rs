//! Jobs as the API sees them: requested, read back, ended.

use crate::db::{Db, KEY, LEASE, LOCATION, RETENTION, elsewhere, file, narrowed, request};
use anyhow::Result;
use domain::{ErrorCode, Failure, JobState, Progress, TraceParent};
use serde_json::json;
use store::events::{self, EventKind};
use store::jobs::{self, Listing, NewJob, Scope};
use store::notifications::{self, Channel, NotificationKind};
use store::{StoreError, uploads};
use uuid::Uuid;

#[tokio::test]
async fn a_request_reads_back_as_it_was_posted() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    for changes in [
        json!({}),
        json!({
            "compression": "zstd", "columns": ["timestamp", "body"],
            "options": {"csv": {"delimiter": ";", "null": "\\N", "escape_formulas": false}},
            "filters": {"all": [
                {"field": "body", "op": "contains", "value": "it's \"\\' quoted; ünïcödé 😀\n"},
                {"not": {"field": "severity_number", "op": "in", "value": [17, -1, 0.5, 18_446_744_073_709_551_615_u64]}},
            ]},
        }),
        json!({"format": "json", "compression": "none", "options": {"json": {"layout": "array"}}}),
        json!({"format": "parquet", "filters": {"service_name": ["a", "b"]}}),
        json!({"start_time": "2026-01-01T00:00:00.000001Z", "end_time": "2026-01-01T00:00:00.000002Z"}),
    ] {
        let job = NewJob {
            request: request(&changes),
            trace: TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ..db.new_job()
        };
        let posted = job.request.clone();
        let inserted = jobs::insert(&mut conn, job).await?;
        let read = jobs::get(&mut conn, &db.scope(), inserted.id)
            .await?
            .expect("the job is there");
        assert_eq!(read, inserted);
        assert_eq!(read.request, Ok(posted));
        assert!(read.trace.is_some());
        assert_eq!(read.state, JobState::Pending);
        assert_eq!((read.user, read.progress), (db.user, Progress::default()));
    }
    Ok(())
}

#[tokio::test]
async fn somebody_elses_job_is_none() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.post().await?;
    let admins = Scope {
        user: None,
        ..db.scope()
    };
    for scope in [db.scope(), admins] {
        assert!(jobs::get(&mut conn, &scope, job).await?.is_some());
        let nobodys = jobs::get(&mut conn, &scope, Uuid::new_v4().into()).await?;
        assert_eq!(nobodys, None);
    }
    for scope in elsewhere(&db) {
        assert_eq!(jobs::get(&mut conn, &scope, job).await?, None, "{scope:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_narrowed_job_is_in_reach_of_who_sees_its_rows() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = NewJob {
        narrowed_to: narrowed(&[("tenant_id", "a"), ("workspace_id", "it's \"1\"")]),
        ..db.new_job()
    };
    let job = jobs::insert(&mut conn, job).await?;
    for (fields, is_in_reach) in [
        (&[] as &[_], true),
        (&[("tenant_id", "a")], true),
        (&[("workspace_id", "it's \"1\""), ("tenant_id", "a")], true),
        (&[("tenant_id", "b")], false),
        (&[("tenant_id", "")], false),
        (&[("tenant_id", "a"), ("workspace_id", "2")], false),
        (&[("tenant_id", "a"), ("service_name", "a")], false),
    ] {
        for user in [Some(db.user), None] {
            let scope = Scope {
                narrowed_to: narrowed(fields),
                user,
                ..db.scope()
            };
            let read = jobs::get(&mut conn, &scope, job.id).await?;
            assert_eq!(read.as_ref(), is_in_reach.then_some(&job), "{scope:?}");
            let listing = Listing {
                scope,
                status: None,
                data_type: None,
                created_from: None,
                created_to: None,
                after: None,
                limit: 10,
            };
            let listed = jobs::list(&mut conn, &listing).await?;
            assert_eq!(!listed.is_empty(), is_in_reach, "{listing:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_user_or_organization_is_told_apart() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let mut unknown_user = db.new_job();
    unknown_user.user = Uuid::new_v4().into();
    let mut unknown_organization = db.new_job();
    unknown_organization.organization = Uuid::new_v4().into();
    for job in [unknown_user, unknown_organization] {
        let id = job.id;
        let refusal = jobs::insert(&mut conn, job).await.expect_err("nobody asks");
        assert!(
            matches!(refusal, StoreError::UnknownPrincipal(_)),
            "{refusal:?}"
        );
        assert_eq!(events::list(&mut conn, id, None, 100).await?, []);
    }
    Ok(())
}

#[tokio::test]
async fn a_completed_job_has_its_file_its_event_and_its_notification() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.claimed().await?;
    let id = claim.job.id;
    uploads::begin_object(&mut conn, &claim, KEY).await?;

    // All three or none: nothing is left when the transaction is not committed.
    let mut tx = store::begin(&mut conn).await?;
    jobs::complete(&mut tx, &claim, &file().into(), LOCATION, RETENTION).await?;
    tx.rollback().await?;
    assert_eq!(db.trail(id).await?, ["requested", "started"]);
    assert!(
        notifications::claim_due(&mut conn, Channel::Email, LEASE, &[])
            .await?
            .is_none()
    );

    jobs::complete(&mut conn, &claim, &file().into(), LOCATION, RETENTION).await?;
    let job = db.get(id).await?;
    assert_eq!((job.progress, job.rows_exported), (Progress::DONE, 42));
    let JobState::Completed {
        files,
        completed_at,
        expires_at,
    } = job.state
    else {
        panic!("not completed: {:?}", job.state)
    };
    assert_eq!(files, file().into());
    assert_eq!((expires_at - completed_at).to_std()?, RETENTION);
    let trail = events::list(&mut conn, id, None, 100).await?;
    assert_eq!(db.trail(id).await?, ["requested", "started", "completed"]);
    assert_eq!(trail[0].actor, Some(db.actor()));
    assert_eq!(trail[1].actor, None);
    let mail = notifications::claim_due(&mut conn, Channel::Email, LEASE, &[])
        .await?
        .expect("a mail is due");
    assert_eq!((mail.kind, mail.job.id), (NotificationKind::Completed, id));

    let url: String = sqlx::query_scalar("SELECT file_url FROM export_jobs")
        .fetch_one(&mut *conn)
        .await?;
    assert_eq!(url, LOCATION);
    Ok(())
}

#[tokio::test]
async fn a_failed_job_tells_its_owner_the_sentence_and_operators_the_cause() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.claimed().await?;
    let failure = Failure::from(ErrorCode::SourceLimit);
    jobs::fail(&mut conn, &claim, &failure, "code 241: memory limit").await?;
    let job = db.get(claim.job.id).await?;
    assert!(matches!(job.state, JobState::Failed { failure: told, .. } if told == failure));
    assert_eq!(db.trail(job.id).await?, ["requested", "started", "failed"]);
    let mail = notifications::claim_due(&mut conn, Channel::Email, LEASE, &[])
        .await?
        .expect("a mail is due");
    assert_eq!(mail.kind, NotificationKind::Failed);
    let cause: String = sqlx::query_scalar("SELECT last_error FROM export_jobs")
        .fetch_one(&mut *conn)
        .await?;
    assert_eq!(cause, "code 241: memory limit");
    Ok(())
}

#[tokio::test]
async fn the_audit_trail_is_read_piece_by_piece() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.completed().await?.job.id;
    db.post().await?;
    let whole = events::list(&mut conn, job, None, 100).await?;
    assert_eq!(whole.len(), 3);
    assert_eq!(events::list(&mut conn, job, None, 2).await?, whole[..2]);
    let rest = events::list(&mut conn, job, Some(whole[1].id), 2).await?;
    assert_eq!(rest, whole[2..]);
    let end = events::list(&mut conn, job, Some(whole[2].id), 2).await?;
    assert_eq!(end, []);
    Ok(())
}

#[tokio::test]
async fn a_download_is_on_the_audit_trail() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.post().await?;
    let mut actor = db.actor();
    actor.ip = Some("2001:db8::1".parse()?);
    actor.user_agent = Some("x".repeat(2_000));
    events::append(&mut conn, job, EventKind::Downloaded, Some(&actor)).await?;
    let trail = events::list(&mut conn, job, None, 100).await?;
    let told = trail[1].actor.clone().expect("somebody downloaded");
    assert_eq!(trail[1].kind, EventKind::Downloaded);
    assert_eq!((told.user, told.ip), (Some(db.user), actor.ip));
    assert_eq!(told.user_agent.map(|agent| agent.len()), Some(512));
    Ok(())
}

/// A row that nobody can read would keep others from being claimed.
#[tokio::test]
async fn what_narrows_a_job_is_an_object_of_texts() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.post().await?;
    for (narrowed_to, is_taken) in [
        (json!({ "tenant_id": "acme" }), true),
        (json!({}), true),
        (json!([]), false),
        (json!("acme"), false),
        (json!({ "tenant_id": ["acme"] }), false),
        (json!({ "tenant_id": 7, "workspace_id": "a" }), false),
        (json!({ "tenant_id": null }), false),
        (json!({ "tenant_id": { "a": "b" } }), false),
    ] {
        let update = sqlx::query("UPDATE export_jobs SET narrowed_to = $2 WHERE job_id = $1");
        let update = update.bind(job.as_uuid()).bind(&narrowed_to);
        let updated = update.execute(&mut *conn).await;
        assert_eq!(updated.is_ok(), is_taken, "{narrowed_to}");
    }
    Ok(())
}
