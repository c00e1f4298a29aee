//! The schema: what it refuses.

use crate::db::{Db, LOCATION, RETENTION, begin_upload, checkpoint, file};
use anyhow::Result;
use domain::{ErrorCode, Failure};
use store::{jobs, uploads};

/// Each statement is wrong for the state that it is tried in.
#[tokio::test]
async fn nonsense_is_refused() -> Result<()> {
    let db = Db::fresh().await?;
    db.post().await?;
    refuses(
        &db,
        &[
            "UPDATE export_jobs SET progress = 101",
            "UPDATE export_jobs SET progress = -1",
            "UPDATE export_jobs SET progress = 100",
            "UPDATE export_jobs SET format = 'xml'",
            "UPDATE export_jobs SET format = 'parquet'",
            "UPDATE export_jobs SET end_time = 'infinity'",
            "UPDATE export_jobs SET adopted = true",
            "UPDATE export_jobs SET file_size = -1",
            "UPDATE export_jobs SET sha256 = 'unknown'",
            "UPDATE export_jobs SET file_columns = '{}'",
            "UPDATE export_jobs SET upload_id = 'an upload of nothing'",
            "UPDATE export_jobs SET upload_plan = '{}'",
            "UPDATE export_jobs SET parts_reserved = -1",
            "UPDATE export_jobs SET parts_reserved = 10001",
            "UPDATE export_jobs SET lost_leases = -1",
            "UPDATE export_jobs SET deleted_at = now()",
            "UPDATE export_jobs SET status = 'DONE'",
            "UPDATE export_jobs SET status = 'PROCESSING'",
            "UPDATE export_jobs SET status = 'COMPLETED'",
            "UPDATE export_jobs SET status = 'FAILED', completed_at = now()",
            "UPDATE export_jobs SET status = 'CANCELLED'",
            "UPDATE export_jobs SET lease_until = now()",
            "UPDATE export_jobs SET completed_at = now()",
            "UPDATE export_jobs SET error_code = 'internal'",
            "UPDATE export_jobs SET error_message = 'it is broken'",
        ],
    )
    .await?;
    let claim = db.claim().await?.expect("the job is due");
    let mut conn = db.conn().await?;
    begin_upload(&mut conn, &claim, "exports/1", "upload", 32).await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    refuses(
        &db,
        &[
            "UPDATE export_jobs SET object_key = NULL",
            "UPDATE export_jobs SET upload_id = NULL",
            "UPDATE export_jobs SET upload_plan = '[]'",
            "UPDATE export_jobs SET upload_plan = 'null'",
            "UPDATE export_jobs SET deleted_at = now()",
            "UPDATE export_checkpoints SET slices = 0",
            "UPDATE export_checkpoints SET rows = -1",
            "UPDATE export_checkpoints SET size_bytes = 0",
            "UPDATE export_checkpoints SET parts = '{}'",
            "UPDATE export_jobs SET lease_owner = NULL",
            "UPDATE export_jobs SET lease_until = NULL",
            "UPDATE export_jobs SET status = 'PENDING'",
            "UPDATE export_jobs SET started_at = NULL",
        ],
    )
    .await?;
    jobs::complete(&mut conn, &claim, &file().into(), LOCATION, RETENTION).await?;
    refuses(
        &db,
        &[
            "UPDATE export_jobs SET object_key = NULL",
            "UPDATE export_jobs SET file_size = NULL",
            "UPDATE export_jobs SET expires_at = NULL",
            "UPDATE export_jobs SET completed_at = NULL",
            "UPDATE export_jobs SET upload_id = 'not yet complete'",
            "UPDATE export_jobs SET progress = 99",
            "UPDATE export_jobs SET upload_plan = '{}'",
            "UPDATE export_jobs SET deleted_at = now()",
            "INSERT INTO export_events (job_id, kind) SELECT job_id, 'vanished' FROM export_jobs",
            "INSERT INTO export_removals (job_id, object_key, attempts)
             SELECT job_id, object_key, -1 FROM export_jobs",
            "INSERT INTO export_sweep (singleton) VALUES (false)",
            "INSERT INTO export_idempotency_keys (organization_id, user_id, key, request_sha256, job_id)
             SELECT organization_id, user_id, '', sha256(''), job_id FROM export_jobs",
            "INSERT INTO export_idempotency_keys (organization_id, user_id, key, request_sha256, job_id)
             SELECT organization_id, user_id, 'a key', '', job_id FROM export_jobs",
            "INSERT INTO export_links (token_sha256, job_id) SELECT '', job_id FROM export_jobs",
            "UPDATE export_notifications SET status = 'SENT'",
            "UPDATE export_notifications SET status = 'FAILED', lease_until = now()",
        ],
    )
    .await?;
    let claim = db.claimed().await?;
    let failure = Failure::from(ErrorCode::Internal);
    jobs::fail(&mut conn, &claim, &failure, "a bug").await?;
    refuses(
        &db,
        &["UPDATE export_jobs SET error_message = NULL WHERE status = 'FAILED'"],
    )
    .await
}

#[tokio::test]
async fn the_audit_trail_cannot_be_changed() -> Result<()> {
    let db = Db::fresh().await?;
    db.post().await?;
    for statement in [
        "UPDATE export_events SET ip = NULL",
        "DELETE FROM export_events",
        "TRUNCATE export_events",
    ] {
        let refusal = sqlx::query(statement)
            .execute(&db.pool)
            .await
            .expect_err(statement);
        assert!(
            refusal.to_string().contains("append-only"),
            "{statement}: {refusal}"
        );
    }
    Ok(())
}

async fn refuses(db: &Db, statements: &[&'static str]) -> Result<()> {
    for statement in statements {
        match sqlx::query(*statement).execute(&db.pool).await {
            Err(sqlx::Error::Database(refusal)) => {
                assert!(refusal.is_check_violation(), "{statement}: {refusal}");
            }
            other => panic!("{statement} was not refused: {other:?}"),
        }
    }
    Ok(())
}
