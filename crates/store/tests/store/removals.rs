//! Removals: what nobody needs any more, and who removes it when.

use std::time::Duration;

use crate::db::{Db, KEY, LEASE, UPLOAD, upload_and_object};
use anyhow::Result;
use domain::{ErrorCode, Failure, JobId};
use store::removals::{self, Removal, Stored};
use store::{jobs, uploads};
use uuid::Uuid;

const HOUR: Duration = Duration::from_hours(1);

/// How often the bucket is looked through.
const INTERVAL: Duration = Duration::from_hours(6);

#[tokio::test]
async fn what_a_job_may_still_need_is_not_removed() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    let job = claim.job.id;
    let named = upload_and_object(job);
    let unnamed = [
        stored(job, KEY, Some("upload-0")),
        stored(job, "exports/0.csv.gz", Some(UPLOAD)),
        stored(job, "exports/0.csv.gz", None),
    ];
    let all = [&named[..], &unnamed[..]].concat();

    // While a worker has it,
    assert_eq!(removals::add_unneeded(&mut conn, &named).await?, 0);
    assert_eq!(removals::add_unneeded(&mut conn, &all).await?, 3);
    assert_eq!(db.removals().await?, unnamed);
    // and while it waits.
    jobs::release(&mut conn, &claim).await?;
    assert_eq!(removals::add_unneeded(&mut conn, &all).await?, 0);
    assert_eq!(db.removals().await?, unnamed);
    Ok(())
}

#[tokio::test]
async fn a_job_that_has_stored_nothing_needs_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    let job = db.post().await?;
    let all = upload_and_object(job);
    assert_eq!(
        removals::add_unneeded(&mut *db.conn().await?, &all).await?,
        2
    );
    assert_eq!(db.removals().await?, all);
    Ok(())
}

#[tokio::test]
async fn a_job_that_stores_with_one_request_needs_no_upload() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.claimed().await?;
    uploads::begin_object(&mut conn, &claim, KEY).await?;
    let all = upload_and_object(claim.job.id);
    assert_eq!(removals::add_unneeded(&mut conn, &all).await?, 1);
    assert_eq!(db.removals().await?, all[..1]);
    Ok(())
}

#[tokio::test]
async fn a_completed_job_needs_its_object_and_no_upload() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.completed().await?.job.id;
    let other = stored(job, "exports/0.csv.gz", None);
    let [upload, object] = upload_and_object(job);
    let all = [upload.clone(), object, other.clone()];
    assert_eq!(removals::add_unneeded(&mut conn, &all).await?, 2);
    assert_eq!(db.removals().await?, [upload, other]);
    Ok(())
}

#[tokio::test]
async fn a_job_that_has_ended_otherwise_needs_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    // What its end has added already.
    let mut added = Vec::new();
    let claim = db.uploading().await?;
    let failure = Failure::from(ErrorCode::Internal);
    jobs::fail(&mut conn, &claim, &failure, "a bug").await?;
    added.extend(removed(&mut conn).await?);
    let cancelled = db.uploading().await?.job.id;
    jobs::withdraw(&mut conn, &db.scope(), cancelled, &db.actor()).await?;
    added.extend(removed(&mut conn).await?);
    let deleted = db.completed().await?.job.id;
    jobs::withdraw(&mut conn, &db.scope(), deleted, &db.actor()).await?;
    added.extend(removed(&mut conn).await?);
    assert_eq!(added.len(), 5);

    // What came into the bucket after it was removed is removed again.
    for job in [claim.job.id, cancelled, deleted] {
        let all = upload_and_object(job);
        assert_eq!(removals::add_unneeded(&mut conn, &all).await?, 2);
        assert_eq!(removed(&mut conn).await?, all);
    }
    Ok(())
}

#[tokio::test]
async fn a_job_of_another_database_is_left_alone() -> Result<()> {
    let db = Db::fresh().await?;
    let all = upload_and_object(Uuid::new_v4().into());
    let mut conn = db.conn().await?;
    assert_eq!(removals::add_unneeded(&mut conn, &all).await?, 0);
    assert_eq!(removals::add_unneeded(&mut conn, &[]).await?, 0);
    assert_eq!(db.removals().await?, []);
    Ok(())
}

#[tokio::test]
async fn what_is_added_twice_is_removed_once() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.post().await?;
    let all = upload_and_object(job);
    let [upload, object] = &all;
    let twice = [upload, object, upload, object].map(Clone::clone);
    assert_eq!(removals::add_unneeded(&mut conn, &twice).await?, 2);
    assert_eq!(removals::add_unneeded(&mut conn, &twice).await?, 0);
    assert_eq!(db.removals().await?, all);
    // Nor while another process removes it.
    let due = removals::claim_due(&mut conn, 10, LEASE).await?;
    assert_eq!(removals::add_unneeded(&mut conn, &all).await?, 0);
    for removal in &due {
        removals::done(&mut conn, removal).await?;
    }
    assert_eq!(db.removals().await?, []);
    Ok(())
}

#[tokio::test]
async fn removals_are_handed_out_oldest_first_and_once() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let mut all = Vec::new();
    for number in 0..3 {
        let job = db.post().await?;
        let key = format!("exports/{number}.csv.gz");
        let stored = [Some(UPLOAD), None].map(|upload| stored(job, &key, upload));
        removals::add_unneeded(&mut conn, &stored).await?;
        all.extend(stored);
    }
    let first = removals::claim_due(&mut conn, 4, LEASE).await?;
    assert_eq!(what(&first), all[..4]);
    assert!(first.iter().all(|removal| removal.attempts == 1));
    let rest = removals::claim_due(&mut conn, 4, LEASE).await?;
    assert_eq!(what(&rest), all[4..]);
    assert_eq!(removals::claim_due(&mut conn, 4, LEASE).await?, []);

    // What is done does not come again; what was only taken does, when its lease is over.
    removals::done(&mut conn, &first[1]).await?;
    removals::done(&mut conn, &first[1]).await?;
    let_be_due(&db).await?;
    let again = removals::claim_due(&mut conn, 10, LEASE).await?;
    let left = [&all[..1], &all[2..]].concat();
    assert_eq!(what(&again), left);
    assert!(again.iter().all(|removal| removal.attempts == 2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_never_get_the_same_removal() -> Result<()> {
    let db = Db::fresh().await?;
    let job = db.post().await?;
    let all: Vec<_> = (0..40)
        .map(|number| stored(job, &format!("exports/{number}.csv.gz"), None))
        .collect();
    removals::add_unneeded(&mut *db.conn().await?, &all).await?;
    let mut processes = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut conn = db.conn().await?;
        processes.spawn(async move {
            let mut got = Vec::new();
            loop {
                let due = removals::claim_due(&mut conn, 3, HOUR).await?;
                if due.is_empty() {
                    return Ok::<_, store::StoreError>(got);
                }
                got.extend(what(&due));
            }
        });
    }
    let mut got = Vec::new();
    while let Some(process) = processes.join_next().await {
        got.extend(process??);
    }
    assert_eq!(got.len(), all.len());
    assert!(all.iter().all(|stored| got.contains(stored)));
    Ok(())
}

#[tokio::test]
async fn a_removal_that_failed_waits_and_counts() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let job = db.post().await?;
    removals::add_unneeded(&mut conn, &upload_and_object(job)).await?;
    let due = removals::claim_due(&mut conn, 10, LEASE).await?;
    removals::retry(&mut conn, &due[0], HOUR, "503 slow down").await?;
    removals::retry(&mut conn, &due[1], Duration::ZERO, "503 slow down").await?;
    let now = removals::claim_due(&mut conn, 10, LEASE).await?;
    assert_eq!(what(&now), [due[1].stored.clone()]);
    assert_eq!(now[0].attempts, 2);
    let_be_due(&db).await?;
    assert_eq!(removals::claim_due(&mut conn, 10, LEASE).await?.len(), 2);
    let cause: String = sqlx::query_scalar("SELECT DISTINCT last_error FROM export_removals")
        .fetch_one(&db.pool)
        .await?;
    assert_eq!(cause, "503 slow down");
    Ok(())
}

#[tokio::test]
async fn one_process_looks_through_the_bucket_each_interval() -> Result<()> {
    let db = Db::fresh().await?;
    for _ in 0..2 {
        let asks = async || {
            let mut conn = store::acquire(&db.pool).await?;
            removals::claim_sweep(&mut conn, INTERVAL).await
        };
        let answers: [bool; 4] = tokio::try_join!(asks(), asks(), asks(), asks())?.into();
        let yes = answers.iter().filter(|answer| **answer);
        assert_eq!(yes.count(), 1, "{answers:?}");
        sqlx::query("UPDATE export_sweep SET due_at = due_at - interval '6 hours'")
            .execute(&db.pool)
            .await?;
    }
    Ok(())
}

fn stored(job: JobId, object_key: &str, upload_id: Option<&str>) -> Stored {
    Stored {
        job,
        object_key: object_key.to_owned(),
        upload_id: upload_id.map(str::to_owned),
    }
}

fn what(removals: &[Removal]) -> Vec<Stored> {
    let stored = removals.iter().map(|removal| removal.stored.clone());
    stored.collect()
}

/// Removes all that is due.
async fn removed(conn: &mut store::PgConnection) -> Result<Vec<Stored>> {
    let due = removals::claim_due(conn, 10, LEASE).await?;
    for removal in &due {
        removals::done(conn, removal).await?;
    }
    Ok(what(&due))
}

/// Lets every wait and every lease of a removal be over.
async fn let_be_due(db: &Db) -> Result<()> {
    sqlx::query("UPDATE export_removals SET run_after = now()")
        .execute(&db.pool)
        .await?;
    Ok(())
}
