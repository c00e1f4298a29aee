//! Uploads: what an attempt leaves for the next one, and what becomes of it.

use std::time::Duration;

use crate::db::{
    Db, KEY, LOCATION, RETENTION, UPLOAD, begin_upload, checkpoint, file, file_contents, plan,
    upload_and_object,
};
use anyhow::Result;
use domain::{ErrorCode, ExportedFile, Failure, Progress};
use serde_json::json;
use store::jobs::{self, Claim};
use store::removals::Stored;
use store::uploads::{self, Unfinished, Upload};
use store::{StoreError, contents, removals};

#[tokio::test]
async fn a_successor_finds_the_upload_and_its_checkpoints_in_order() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.claimed().await?;
    assert_eq!(claim.unfinished, None);
    begin_upload(&mut conn, &claim, KEY, UPLOAD, 32).await?;
    uploads::reserve_parts(&mut conn, &claim, 64).await?;
    // Numbers that were reserved once stay so.
    uploads::reserve_parts(&mut conn, &claim, 40).await?;
    for slices in [2, 9, 10] {
        uploads::add_checkpoint(&mut conn, &claim, &checkpoint(slices)).await?;
    }

    let next = db.take_over().await?;
    let mut expected = Unfinished {
        object_key: Some(KEY.to_owned()),
        upload: Some(Upload {
            id: UPLOAD.to_owned(),
            plan: Some(plan()),
            parts_reserved: 64,
            sealed: None,
        }),
        are_sealed: false,
    };
    assert_eq!(next.unfinished.as_ref(), Some(&expected));
    let checkpoints = [2, 9, 10].map(checkpoint);
    assert_eq!(uploads::checkpoints(&mut conn, &next).await?, checkpoints);

    uploads::seal(&mut conn, &next, &file(), &last()).await?;
    let last_one = db.take_over().await?;
    expected.upload.as_mut().expect("it is there").sealed = Some(file());
    assert_eq!(last_one.unfinished, Some(expected));
    let mut checkpoints = checkpoints.to_vec();
    checkpoints.push(last());
    assert_eq!(
        uploads::checkpoints(&mut conn, &last_one).await?,
        checkpoints
    );
    Ok(())
}

#[tokio::test]
async fn a_successor_finds_an_object_that_was_stored_with_one_request() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.claimed().await?;
    // Twice, since the first answer may have been lost.
    for _ in 0..2 {
        uploads::begin_object(&mut *db.conn().await?, &claim, KEY).await?;
    }
    let next = db.take_over().await?;
    let expected = Unfinished {
        object_key: Some(KEY.to_owned()),
        upload: None,
        are_sealed: false,
    };
    assert_eq!(next.unfinished, Some(expected));
    Ok(())
}

#[tokio::test]
async fn a_plan_of_another_version_is_none() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    db.uploading().await?;
    let unordered = [
        "2026-01-02T00:00:00Z",
        "2026-01-01T00:00:00Z",
        "2026-01-03T00:00:00Z",
    ];
    for unreadable in [
        json!({}),
        json!({"version": 9, "ranges": []}),
        json!({"fingerprint": "x", "rows_estimated": -1, "bounds": []}),
        json!({"fingerprint": "x", "rows_estimated": 1, "bounds": unordered}),
    ] {
        sqlx::query("UPDATE export_jobs SET upload_plan = $1")
            .bind(&unreadable)
            .execute(&mut *conn)
            .await?;
        let claim = db.take_over().await?;
        let upload = claim.unfinished.and_then(|unfinished| unfinished.upload);
        let upload = upload.expect("it is known all the same");
        assert_eq!(upload.plan, None, "{unreadable}");
        assert_eq!((upload.id.as_str(), upload.parts_reserved), (UPLOAD, 32));
    }
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_forgives_what_failed_before_it() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    db.uploading().await?;
    for sealed in [false, true] {
        // Two attempts fail, one worker dies.
        let claim = db.take_over().await?;
        jobs::retry(&mut conn, &claim, Duration::ZERO, "connection reset").await?;
        let claim = db.claim().await?.expect("due at once");
        assert_eq!((claim.attempts, claim.deaths), (2, 1));
        if sealed {
            uploads::seal(&mut conn, &claim, &file(), &last()).await?;
        } else {
            uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
        }
        // The attempt that goes on is the first one again.
        jobs::retry(&mut conn, &claim, Duration::ZERO, "connection reset").await?;
        let claim = db.claim().await?.expect("due at once");
        assert_eq!((claim.attempts, claim.deaths), (2, 0));
        jobs::release(&mut conn, &claim).await?;
        let claim = db.claim().await?.expect("due at once");
        assert_eq!((claim.attempts, claim.deaths), (2, 0));
        uploads::add_checkpoint(&mut conn, &claim, &checkpoint(2)).await?;
    }
    // A release right behind a checkpoint does not make the number negative.
    let claim = db.take_over().await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(2)).await?;
    jobs::release(&mut conn, &claim).await?;
    assert_eq!(db.claim().await?.expect("due at once").attempts, 1);
    Ok(())
}

#[tokio::test]
async fn what_is_noted_twice_is_there_once() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    for _ in 0..2 {
        begin_upload(&mut conn, &claim, KEY, UPLOAD, 32).await?;
    }
    for _ in 0..2 {
        uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    }
    for _ in 0..2 {
        uploads::seal(&mut conn, &claim, &file(), &last()).await?;
    }
    assert_eq!(
        uploads::checkpoints(&mut conn, &claim).await?,
        [checkpoint(1), last()]
    );
    assert_eq!(db.get(claim.job.id).await?.rows_exported, file().rows);
    assert_eq!(db.trail(claim.job.id).await?, ["requested", "started"]);
    assert_eq!(db.removals().await?, []);
    Ok(())
}

/// Rows may have been deleted at the source before an export began anew.
#[tokio::test]
async fn a_file_with_fewer_rows_than_were_seen_is_sealed_with_its_own() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    let all = file().rows + 8;
    jobs::progress(&mut conn, &claim, all, Some(all), Progress::of_rows(1, 2)).await?;
    uploads::seal(&mut conn, &claim, &file(), &last()).await?;
    assert_eq!(db.get(claim.job.id).await?.rows_exported, all);
    jobs::progress(&mut conn, &claim, all, Some(all), Progress::of_rows(1, 2)).await?;

    let next = db.take_over().await?;
    let upload = next.unfinished.clone().and_then(|found| found.upload);
    assert_eq!(upload.and_then(|upload| upload.sealed), Some(file()));
    jobs::complete(&mut conn, &next, &file().into(), LOCATION, RETENTION).await?;
    assert_eq!(db.get(claim.job.id).await?.rows_exported, file().rows);
    Ok(())
}

#[tokio::test]
async fn going_on_is_on_the_audit_trail() -> Result<()> {
    let db = Db::fresh().await?;
    db.uploading().await?;
    let next = db.take_over().await?;
    uploads::resume(&mut *db.conn().await?, &next).await?;
    assert_eq!(
        db.trail(next.job.id).await?,
        ["requested", "started", "resumed"]
    );
    // Nothing else happens.
    let again = db.take_over().await?;
    assert_eq!(again.unfinished, next.unfinished);
    assert_eq!(db.removals().await?, []);
    Ok(())
}

#[tokio::test]
async fn starting_over_has_removed_what_is_stored_and_leaves_a_clean_row() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    let job = claim.job.id;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    uploads::seal(&mut conn, &claim, &file(), &last()).await?;

    let next = db.take_over().await?;
    assert_eq!(uploads::start_over(&mut conn, &next).await?, 1);
    assert_eq!(
        db.trail(job).await?,
        ["requested", "started", "started_over"]
    );
    assert_eq!(uploads::checkpoints(&mut conn, &next).await?, []);
    // The upload first: it could still become the object afterwards.
    let due = removals::claim_due(&mut conn, 10, Duration::from_mins(1)).await?;
    let due: Vec<_> = due.into_iter().map(|removal| removal.stored).collect();
    assert_eq!(due, upload_and_object(job));

    let clean = db.take_over().await?;
    assert_eq!(clean.unfinished, None);
    begin_upload(&mut conn, &clean, "exports/2.csv.gz", "upload-2", 7).await?;
    let found = db.take_over().await?.unfinished.expect("it has begun anew");
    let upload = found.upload.expect("it has begun anew");
    assert_eq!(found.object_key.as_deref(), Some("exports/2.csv.gz"));
    assert_eq!((upload.id.as_str(), upload.parts_reserved), ("upload-2", 7));
    assert_eq!(upload.sealed, None);
    // How far users have seen it stays.
    assert_eq!(db.get(job).await?.rows_exported, file().rows);
    Ok(())
}

#[tokio::test]
async fn starting_over_removes_an_object_that_was_stored_with_one_request() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.claimed().await?;
    uploads::begin_object(&mut *db.conn().await?, &claim, KEY).await?;
    let next = db.take_over().await?;
    uploads::start_over(&mut *db.conn().await?, &next).await?;
    let [_, object] = upload_and_object(claim.job.id);
    assert_eq!(db.removals().await?, [object]);
    assert_eq!(db.take_over().await?.unfinished, None);
    Ok(())
}

#[tokio::test]
async fn a_completed_job_forgets_how_it_was_made() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    uploads::seal(&mut conn, &claim, &file(), &last()).await?;
    jobs::complete(&mut conn, &claim, &file().into(), LOCATION, RETENTION).await?;
    assert_eq!(uploads::checkpoints(&mut conn, &claim).await?, []);
    let forgotten: bool = sqlx::query_scalar(
        "SELECT upload_id IS NULL AND upload_plan IS NULL AND parts_reserved = 0
         FROM export_jobs",
    )
    .fetch_one(&mut *conn)
    .await?;
    assert!(forgotten);
    assert_eq!(db.removals().await?, []);
    Ok(())
}

#[tokio::test]
async fn a_failed_job_gives_up_all_that_it_has_stored() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    uploads::seal(&mut conn, &claim, &file(), &last()).await?;
    let failure = Failure::from(ErrorCode::Internal);
    jobs::fail(&mut conn, &claim, &failure, "a bug").await?;
    assert_eq!(uploads::checkpoints(&mut conn, &claim).await?, []);
    assert_eq!(db.removals().await?, upload_and_object(claim.job.id));
    Ok(())
}

#[tokio::test]
async fn a_row_that_cannot_be_read_gives_up_all_that_it_has_stored() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.uploading().await?;
    uploads::add_checkpoint(&mut *db.conn().await?, &claim, &checkpoint(1)).await?;
    sqlx::query(r#"UPDATE export_jobs SET options = '{"csv": {"colour": "red"}}'"#)
        .execute(&db.pool)
        .await?;
    db.expire_leases().await?;
    db.claim().await.expect_err("it cannot be read");
    assert_eq!(db.removals().await?, upload_and_object(claim.job.id));
    Ok(())
}

#[tokio::test]
async fn a_worker_that_slept_through_its_lease_stores_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let zombie = db.uploading().await?;
    uploads::add_checkpoint(&mut conn, &zombie, &checkpoint(1)).await?;
    let successor = db.take_over().await?;
    let before = db.get(zombie.job.id).await?;

    stores_nothing(&db, &zombie).await?;
    assert_eq!(db.get(zombie.job.id).await?, before);
    let checkpoints = uploads::checkpoints(&mut conn, &successor).await?;
    assert_eq!(checkpoints, [checkpoint(1)]);
    assert_eq!(db.trail(zombie.job.id).await?, ["requested", "started"]);
    assert_eq!(db.removals().await?, []);
    let third = db.take_over().await?;
    assert_eq!(third.unfinished, successor.unfinished);

    // Nor does one whose job waits, or has ended.
    jobs::release(&mut conn, &third).await?;
    stores_nothing(&db, &third).await?;
    let fourth = db.claim().await?.expect("due at once");
    jobs::complete(&mut conn, &fourth, &file().into(), LOCATION, RETENTION).await?;
    stores_nothing(&db, &fourth).await?;
    assert_eq!(db.removals().await?, Vec::<Stored>::new());
    Ok(())
}

#[tokio::test]
async fn a_file_holds_what_its_worker_noted() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.claimed().await?.job.id;
    assert_eq!(contents::get(&mut conn, job).await?, None);
    let claim = db.take_over().await?;
    contents::note(&mut conn, &claim, &file_contents()).await?;
    jobs::complete(&mut conn, &claim, &file().into(), LOCATION, RETENTION).await?;
    assert_eq!(contents::get(&mut conn, job).await?, Some(file_contents()));
    Ok(())
}

/// Where nothing is stored yet, nothing but the token is in its way.
#[tokio::test]
async fn a_worker_that_slept_through_its_lease_begins_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    let zombie = db.claimed().await?;
    let successor = db.take_over().await?;
    stores_nothing(&db, &zombie).await?;
    uploads::begin_object(&mut *db.conn().await?, &successor, KEY).await?;
    stores_nothing(&db, &zombie).await?;
    let found = db.take_over().await?.unfinished;
    assert_eq!(
        found.and_then(|found| found.object_key),
        Some(KEY.to_owned())
    );
    Ok(())
}

async fn stores_nothing(db: &Db, claim: &Claim) -> Result<()> {
    let mut conn = db.conn().await?;
    let conn = &mut *conn;
    let late = ExportedFile { rows: 99, ..file() };
    for (write, result) in [
        (
            "begin_object",
            uploads::begin_object(conn, claim, "late").await,
        ),
        ("begin", begin_upload(conn, claim, "late", "late", 99).await),
        (
            "reserve_parts",
            uploads::reserve_parts(conn, claim, 99).await,
        ),
        (
            "add_checkpoint",
            uploads::add_checkpoint(conn, claim, &checkpoint(2)).await,
        ),
        ("seal", uploads::seal(conn, claim, &late, &last()).await),
        (
            "contents",
            contents::note(conn, claim, &file_contents()).await,
        ),
        ("resume", uploads::resume(conn, claim).await),
        (
            "start_over",
            uploads::start_over(conn, claim).await.map(drop),
        ),
    ] {
        let error = result.expect_err(write);
        assert!(matches!(error, StoreError::LeaseLost), "{write}: {error:?}");
    }
    Ok(())
}

/// The last checkpoint of [`file`].
fn last() -> uploads::Checkpoint {
    uploads::Checkpoint {
        rows: file().rows,
        size_bytes: file().size_bytes,
        encoder: Vec::new(),
        sha256_state: Vec::new(),
        ..checkpoint(11)
    }
}
