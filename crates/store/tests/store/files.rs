//! Exports of several files: how they come about, are gone on with, found and removed.

use anyhow::Result;
use domain::{ErrorCode, ExportedFile, ExportedFiles, Failure, FileTotals, JobId, JobState};
use serde_json::json;
use sqlx::PgConnection;
use store::files::{self, WholeFile, WholeUpload};
use store::jobs::{self, Claim, NewJob};
use store::removals::{self, Stored};
use store::uploads::{self, Checkpoint, NewUpload, StoredPart, Unfinished, Upload};
use store::{StoreError, contents};

use crate::db::{Db, KEY, RETENTION, UPLOAD, checkpoint, file, file_contents, plan, request};

const LOCATION: &str = "s3://bucket/exports/";

fn key(number: u32) -> String {
    format!("exports/1-{number:04}.csv.gz")
}

/// A file of forty-two rows, in an object or in an upload of one part.
fn whole(number: u32, in_upload: bool) -> WholeFile {
    let upload = in_upload.then(|| WholeUpload {
        id: format!("upload-{number}"),
        parts: vec![StoredPart {
            number: 7,
            size_bytes: 1_234,
            etag: format!("\"{number}\""),
        }],
    });
    WholeFile {
        number,
        file: ExportedFile {
            object_key: key(number),
            ..file()
        },
        upload,
    }
}

fn totals(count: u32) -> FileTotals {
    FileTotals {
        count,
        size_bytes: u64::from(count) * file().size_bytes,
        rows: u64::from(count) * file().rows,
    }
}

/// A checkpoint whose last bytes are in no part yet.
fn with_rest(slices: u16) -> Checkpoint {
    Checkpoint {
        parts: Vec::new(),
        rest: b"these are few".to_vec(),
        ..checkpoint(slices)
    }
}

/// Notes a checkpoint in the file behind some whole ones, whose upload was begun before.
async fn turn(
    conn: &mut PgConnection,
    claim: &Claim,
    whole: &[WholeFile],
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    let number = whole.last().map_or(1, |last| last.number + 1);
    let (key, id) = (key(number), format!("upload-{number}"));
    files::begin(conn, claim, number, &key, Some(&id)).await?;
    let upload = NewUpload {
        object_key: &key,
        id: &id,
        plan: &plan(),
        parts_reserved: 32,
    };
    files::turn(conn, claim, whole, &upload, checkpoint).await
}

fn stored(job: JobId, object_key: impl Into<String>, upload_id: Option<&str>) -> Stored {
    Stored {
        job,
        object_key: object_key.into(),
        upload_id: upload_id.map(str::to_owned),
    }
}

/// Completes a job with three files.
async fn completed(db: &Db) -> Result<Claim> {
    let mut conn = db.conn().await?;
    let request = request(&json!({"options": {"split": {"max_rows": 1_000}}}));
    let job = NewJob {
        request,
        ..db.new_job()
    };
    jobs::insert(&mut conn, job).await?;
    let claim = db.claim().await?.expect("the job is due");
    contents::note(&mut conn, &claim, &file_contents()).await?;
    let files = [whole(1, true), whole(2, false), whole(3, true)];
    files::seal(&mut conn, &claim, &files, &totals(3)).await?;
    let made = ExportedFiles::Several(totals(3));
    jobs::complete(&mut conn, &claim, &made, LOCATION, RETENTION).await?;
    Ok(claim)
}

#[tokio::test]
async fn a_successor_goes_on_in_the_file_of_the_last_checkpoint() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    files::begin(&mut conn, &claim, 2, &key(2), None).await?;
    let first = [whole(1, true), whole(2, false)];
    // Twice, since the first answer may have been lost.
    for _ in 0..2 {
        turn(&mut conn, &claim, &first, &with_rest(2)).await?;
    }
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(3)).await?;
    uploads::reserve_parts(&mut conn, &claim, 64).await?;
    files::begin(&mut conn, &claim, 4, &key(4), Some("upload-4")).await?;
    files::begin(&mut conn, &claim, 5, &key(5), None).await?;

    let next = db.take_over().await?;
    let expected = Unfinished {
        object_key: Some(key(3)),
        upload: Some(Upload {
            id: "upload-3".to_owned(),
            plan: Some(plan()),
            parts_reserved: 64,
            sealed: None,
        }),
        are_sealed: false,
    };
    assert_eq!(next.unfinished, Some(expected));
    assert_eq!(files::whole(&mut conn, &next).await?, first);
    let checkpoints = [with_rest(2), checkpoint(3)];
    assert_eq!(uploads::checkpoints(&mut conn, &next).await?, checkpoints);

    // What was begun behind it is begun anew.
    uploads::resume(&mut conn, &next).await?;
    let job = claim.job.id;
    let begun = [
        stored(job, key(4), Some("upload-4")),
        stored(job, key(4), None),
        stored(job, key(5), None),
    ];
    assert_eq!(db.removals().await?, begun);
    files::begin(&mut conn, &next, 4, "exports/2-0004.csv.gz", None).await?;

    // By now those of the first turn are objects.
    turn(&mut conn, &next, &[whole(3, true)], &with_rest(4)).await?;
    let known = files::whole(&mut conn, &next).await?;
    assert_eq!(known, [whole(1, false), whole(2, false), whole(3, true)]);
    assert_eq!(
        uploads::checkpoints(&mut conn, &next).await?,
        [with_rest(4)]
    );
    Ok(())
}

#[tokio::test]
async fn a_successor_knows_of_files_that_no_checkpoint_names() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.claimed().await?;
    uploads::begin_object(&mut conn, &claim, KEY).await?;
    files::begin(&mut conn, &claim, 2, &key(2), None).await?;
    let next = db.take_over().await?;
    assert!(next.unfinished.is_some());
    uploads::start_over(&mut conn, &next).await?;
    let job = claim.job.id;
    let all = [stored(job, KEY, None), stored(job, key(2), None)];
    assert_eq!(db.removals().await?, all);
    assert_eq!(db.take_over().await?.unfinished, None);
    Ok(())
}

#[tokio::test]
async fn a_successor_finds_all_files_once_they_are_whole() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    let all = [whole(1, true), whole(2, false), whole(3, true)];
    files::begin(&mut conn, &claim, 2, &key(2), None).await?;
    for _ in 0..2 {
        files::seal(&mut conn, &claim, &all, &totals(3)).await?;
    }

    let next = db.take_over().await?;
    let expected = Unfinished {
        object_key: None,
        upload: None,
        are_sealed: true,
    };
    assert_eq!(next.unfinished, Some(expected));
    assert_eq!(files::whole(&mut conn, &next).await?, all);
    assert_eq!(uploads::checkpoints(&mut conn, &next).await?, []);

    let made = ExportedFiles::Several(totals(3));
    for _ in 0..2 {
        jobs::complete(&mut conn, &next, &made, LOCATION, RETENTION).await?;
    }
    let fewer = ExportedFiles::Several(totals(2));
    let refused = jobs::complete(&mut conn, &next, &fewer, LOCATION, RETENTION).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)));
    let job = db.get(claim.job.id).await?;
    assert_eq!(job.rows_exported, totals(3).rows);
    let JobState::Completed { files: found, .. } = job.state else {
        panic!("not completed: {:?}", job.state)
    };
    assert_eq!(found, made);
    let used: (i64, i64) =
        sqlx::query_as("SELECT rows::bigint, size_bytes::bigint FROM export_usage")
            .fetch_one(&mut *conn)
            .await?;
    assert_eq!(used, (3 * 42, 3 * 1_234));
    Ok(())
}

#[tokio::test]
async fn files_are_found_by_their_numbers() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = completed(&db).await?.job.id;
    let found = files::list(&mut conn, job, 2, 5).await?;
    assert_eq!(found, [whole(2, false).file, whole(3, false).file]);
    assert_eq!(
        files::list(&mut conn, job, 1, 1).await?,
        [whole(1, false).file]
    );
    assert_eq!(files::list(&mut conn, job, 4, 1).await?, []);
    Ok(())
}

#[tokio::test]
async fn all_files_are_removed_whatever_ends_the_job() -> Result<()> {
    for end in ["deleted", "expired"] {
        let db = Db::fresh().await?;
        let mut conn = db.conn().await?;
        let job = completed(&db).await?.job.id;
        if end == "deleted" {
            jobs::withdraw(&mut conn, &db.scope(), job, &db.actor()).await?;
        } else {
            sqlx::query("UPDATE export_jobs SET expires_at = now()")
                .execute(&mut *conn)
                .await?;
            jobs::expire(&mut conn, 10).await?;
        }
        let mut removals = db.removals().await?;
        removals.sort_by(|one, other| one.object_key.cmp(&other.object_key));
        let objects = [1, 2, 3].map(|number| stored(job, key(number), None));
        assert_eq!(removals, objects, "{end}");
    }
    for end in ["cancelled", "failed"] {
        let db = Db::fresh().await?;
        let mut conn = db.conn().await?;
        let claim = db.claimed().await?;
        let job = claim.job.id;
        turn(&mut conn, &claim, &[whole(1, true)], &with_rest(1)).await?;
        files::begin(&mut conn, &claim, 3, &key(3), Some("upload-3")).await?;
        if end == "cancelled" {
            jobs::withdraw(&mut conn, &db.scope(), job, &db.actor()).await?;
        } else {
            let failure = Failure::from(ErrorCode::TooManyFiles);
            jobs::fail(&mut conn, &claim, &failure, "too many").await?;
        }
        let all = [2, 1, 3].map(|number| {
            let upload = format!("upload-{number}");
            [
                stored(job, key(number), Some(&upload)),
                stored(job, key(number), None),
            ]
        });
        assert_eq!(db.removals().await?, all.concat(), "{end}");
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM export_files")
            .fetch_one(&mut *conn)
            .await?;
        assert_eq!(left, 0, "{end}");
    }
    Ok(())
}

#[tokio::test]
async fn a_job_needs_its_files_and_nothing_else() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    let job = claim.job.id;
    turn(&mut conn, &claim, &[whole(1, true)], &with_rest(1)).await?;
    files::begin(&mut conn, &claim, 3, &key(3), Some("upload-3")).await?;
    let needed = [1, 2, 3].map(|number| {
        let upload = format!("upload-{number}");
        [
            stored(job, key(number), Some(&upload)),
            stored(job, key(number), None),
        ]
    });
    let added = removals::add_unneeded(&mut conn, &needed.concat()).await?;
    assert_eq!(added, 0);
    let unneeded = [
        stored(job, KEY, Some(UPLOAD)),
        stored(job, key(3), Some("upload-2")),
        stored(job, key(9), None),
    ];
    removals::add_unneeded(&mut conn, &unneeded).await?;
    assert_eq!(db.removals().await?, unneeded);

    let done = completed(&db).await?.job.id;
    let objects = [1, 2, 3].map(|number| stored(done, key(number), None));
    assert_eq!(removals::add_unneeded(&mut conn, &objects).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_slept_through_its_lease_adds_no_file() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let zombie = db.uploading().await?;
    let successor = db.take_over().await?;
    let upload = NewUpload {
        object_key: "late",
        id: "late",
        plan: &plan(),
        parts_reserved: 99,
    };
    let late = [whole(1, true)];
    for (write, result) in [
        (
            "begin",
            files::begin(&mut conn, &zombie, 2, "late", None).await,
        ),
        (
            "turn",
            files::turn(&mut conn, &zombie, &late, &upload, &checkpoint(1)).await,
        ),
        (
            "seal",
            files::seal(&mut conn, &zombie, &late, &totals(1)).await,
        ),
    ] {
        let error = result.expect_err(write);
        assert!(matches!(error, StoreError::LeaseLost), "{write}: {error:?}");
    }
    assert_eq!(db.take_over().await?.unfinished, successor.unfinished);
    assert_eq!(db.removals().await?, []);
    Ok(())
}
