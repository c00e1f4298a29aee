//! How people and time end a job: cancelled, deleted, expired.

use crate::db::{
    Db, KEY, LEASE, LOCATION, RETENTION, checkpoint, elsewhere, file, upload_and_object,
};
use anyhow::Result;
use domain::{ErrorCode, ExportJob, Failure, JobId, JobState, JobStatus};
use store::events::{self, EventKind};
use store::jobs::{self, Claim};
use store::notifications::{self, Channel};
use store::{StoreError, uploads};
use uuid::Uuid;

#[tokio::test]
async fn a_job_that_waits_is_cancelled() -> Result<()> {
    let db = Db::fresh().await?;
    let job = db.post().await?;
    let told = withdraw(&db, job).await?;
    assert!(matches!(told.state, JobState::Cancelled { .. }), "{told:?}");
    assert_eq!(db.get(job).await?, told);
    assert!(db.claim().await?.is_none());
    let trail = events::list(&mut *db.conn().await?, job, None, 100).await?;
    assert_eq!(trail[1].kind, EventKind::Cancelled);
    assert_eq!(trail[1].actor, Some(db.actor()));
    assert_eq!(db.removals().await?, []);
    assert!(no_mail(&db).await?);
    Ok(())
}

#[tokio::test]
async fn a_job_that_waits_between_attempts_gives_up_what_they_have_stored() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    jobs::retry(&mut conn, &claim, LEASE, "connection reset").await?;
    let told = withdraw(&db, claim.job.id).await?;
    assert_eq!(told.state.status(), JobStatus::Cancelled);
    assert_eq!(uploads::checkpoints(&mut conn, &claim).await?, []);
    assert_eq!(db.removals().await?, upload_and_object(claim.job.id));
    Ok(())
}

#[tokio::test]
async fn the_worker_of_a_cancelled_job_can_change_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.uploading().await?;
    uploads::add_checkpoint(&mut conn, &claim, &checkpoint(1)).await?;
    let told = withdraw(&db, claim.job.id).await?;
    assert_eq!(told.state.status(), JobStatus::Cancelled);
    assert_eq!(uploads::checkpoints(&mut conn, &claim).await?, []);
    assert_eq!(db.removals().await?, upload_and_object(claim.job.id));

    let failure = Failure::from(ErrorCode::Internal);
    for (write, result) in [
        ("check", jobs::check(&mut conn, &claim).await),
        ("renew", jobs::renew(&mut conn, &claim, LEASE).await),
        (
            "add_checkpoint",
            uploads::add_checkpoint(&mut conn, &claim, &checkpoint(2)).await,
        ),
        (
            "start_over",
            uploads::start_over(&mut conn, &claim).await.map(drop),
        ),
        ("complete", complete(&db, &claim).await),
        ("fail", jobs::fail(&mut conn, &claim, &failure, "").await),
        ("retry", jobs::retry(&mut conn, &claim, LEASE, "").await),
        ("release", jobs::release(&mut conn, &claim).await),
    ] {
        let error = result.expect_err(write);
        assert!(matches!(error, StoreError::LeaseLost), "{write}: {error:?}");
    }
    assert_eq!(db.get(claim.job.id).await?, told);
    assert_eq!(
        db.trail(claim.job.id).await?,
        ["requested", "started", "cancelled"]
    );
    assert_eq!(db.removals().await?, upload_and_object(claim.job.id));
    assert!(no_mail(&db).await?);
    db.expire_leases().await?;
    assert!(db.claim().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn the_file_of_a_completed_job_is_deleted() -> Result<()> {
    let db = Db::fresh().await?;
    let job = db.completed().await?.job.id;
    let JobState::Completed { completed_at, .. } = db.get(job).await?.state else {
        panic!("it is completed");
    };
    let told = withdraw(&db, job).await?;
    let JobState::Expired {
        completed_at: then,
        expires_at,
        deleted_at,
    } = told.state
    else {
        panic!("not deleted: {:?}", told.state)
    };
    assert_eq!((then, deleted_at), (completed_at, Some(expires_at)));
    assert!(expires_at > completed_at);
    assert_eq!(told.rows_exported, file().rows);
    let trail = events::list(&mut *db.conn().await?, job, None, 100).await?;
    let last = trail.last().expect("there are some");
    assert_eq!(
        (last.kind, &last.actor),
        (EventKind::Deleted, &Some(db.actor()))
    );
    let [_, object] = upload_and_object(job);
    assert_eq!(db.removals().await?, [object]);
    // Retention has nothing left to do.
    assert_eq!(jobs::expire(&mut *db.conn().await?, 10).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_that_has_ended_without_a_file_stays_as_it_is() -> Result<()> {
    let db = Db::fresh().await?;
    let cancelled = db.uploading().await?.job.id;
    withdraw(&db, cancelled).await?;
    let deleted = db.completed().await?.job.id;
    withdraw(&db, deleted).await?;
    let expired = db.completed().await?.job.id;
    let_expire(&db, expired).await?;
    let claim = db.uploading().await?;
    let failure = Failure::from(ErrorCode::SourceLimit);
    jobs::fail(&mut *db.conn().await?, &claim, &failure, "a limit").await?;
    for job in [cancelled, deleted, expired, claim.job.id] {
        let before = (db.get(job).await?, db.trail(job).await?);
        let removals = db.removals().await?;
        let told = withdraw(&db, job).await?;
        assert_eq!((told, db.trail(job).await?), before);
        assert_eq!(db.removals().await?, removals);
    }
    // What is due already is left to retention, which says so on the audit trail.
    assert_eq!(jobs::expire(&mut *db.conn().await?, 10).await?, 1);
    assert_eq!(db.trail(expired).await?.last(), Some(&"expired"));
    Ok(())
}

#[tokio::test]
async fn somebody_elses_job_is_not_touched() -> Result<()> {
    let db = Db::fresh().await?;
    let job = db.post().await?;
    let mut conn = db.conn().await?;
    for scope in elsewhere(&db) {
        let told = jobs::withdraw(&mut conn, &scope, job, &db.actor()).await?;
        assert_eq!(told, None, "{scope:?}");
    }
    let nobodys =
        jobs::withdraw(&mut conn, &db.scope(), Uuid::new_v4().into(), &db.actor()).await?;
    assert_eq!(nobodys, None);
    assert_eq!(db.get(job).await?.state, JobState::Pending);
    assert_eq!(db.trail(job).await?, ["requested"]);
    Ok(())
}

/// Whoever comes first, the job has one end and nothing is left in the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_completed_while_it_is_cancelled_has_one_end() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conns = [db.conn().await?, db.conn().await?];
    for round in 0..60 {
        let claim = db.uploading().await?;
        let id = claim.job.id;
        let (scope, actor) = (db.scope(), db.actor());
        let [mut left, mut right] = conns;
        let completing = tokio::spawn(async move {
            let done = jobs::complete(&mut left, &claim, &file().into(), LOCATION, RETENTION).await;
            (left, done)
        });
        let cancelling = tokio::spawn(async move {
            let told = jobs::withdraw(&mut right, &scope, id, &actor).await;
            (right, told)
        });
        let (left, done) = completing.await?;
        let (right, told) = cancelling.await?;
        conns = [left, right];

        let told = told?.expect("it is there");
        assert_eq!(db.get(id).await?, told);
        let [upload, object] = upload_and_object(id);
        let mut removals = db.removals().await?;
        removals.retain(|stored| stored.job == id);
        match done {
            Ok(()) => {
                assert_eq!(told.state.status(), JobStatus::Expired, "round {round}");
                let trail = ["requested", "started", "completed", "deleted"];
                assert_eq!(db.trail(id).await?, trail);
                assert_eq!(removals, [object]);
            }
            Err(StoreError::LeaseLost) => {
                assert_eq!(told.state.status(), JobStatus::Cancelled, "round {round}");
                let trail = ["requested", "started", "cancelled"];
                assert_eq!(db.trail(id).await?, trail);
                assert_eq!(removals, [upload, object]);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_whose_time_is_over_reads_as_expired_before_it_is_removed() -> Result<()> {
    let db = Db::fresh().await?;
    let job = db.completed().await?.job.id;
    let_expire(&db, job).await?;
    let read = db.get(job).await?;
    let JobState::Expired { deleted_at, .. } = read.state else {
        panic!("not expired: {:?}", read.state)
    };
    assert_eq!(deleted_at, None);
    assert_eq!(db.removals().await?, []);
    assert_eq!(jobs::expire(&mut *db.conn().await?, 10).await?, 1);
    assert_eq!(db.get(job).await?.state, read.state);
    Ok(())
}

#[tokio::test]
async fn retention_takes_what_is_due_longest_first() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let second = db.completed().await?.job.id;
    let first = db.completed().await?.job.id;
    let not_yet = db.completed().await?.job.id;
    let_expire(&db, first).await?;
    let_expire(&db, second).await?;

    assert_eq!(jobs::expire(&mut conn, 1).await?, 1);
    assert_eq!(db.trail(first).await?.last(), Some(&"expired"));
    assert_eq!(db.trail(second).await?.last(), Some(&"completed"));
    assert_eq!(jobs::expire(&mut conn, 10).await?, 1);
    assert_eq!(jobs::expire(&mut conn, 10).await?, 0);
    for job in [first, second] {
        let trail = events::list(&mut conn, job, None, 100).await?;
        let expired = trail.last().expect("there are some");
        assert_eq!((expired.kind, &expired.actor), (EventKind::Expired, &None));
        assert_eq!(trail.len(), 4);
        assert_eq!(db.get(job).await?.state.status(), JobStatus::Expired);
    }
    assert_eq!(db.get(not_yet).await?.state.status(), JobStatus::Completed);
    let objects = [first, second].map(|job| {
        let [_, object] = upload_and_object(job);
        object
    });
    assert_eq!(db.removals().await?, objects);
    assert!(db.removals().await?.iter().all(|one| one.object_key == KEY));
    Ok(())
}

async fn withdraw(db: &Db, job: JobId) -> Result<ExportJob> {
    let mut conn = db.conn().await?;
    let told = jobs::withdraw(&mut conn, &db.scope(), job, &db.actor()).await?;
    Ok(told.expect("the job is there"))
}

async fn complete(db: &Db, claim: &Claim) -> Result<(), StoreError> {
    let mut conn = store::acquire(&db.pool).await?;
    jobs::complete(&mut conn, claim, &file().into(), LOCATION, RETENTION).await
}

/// Lets the time of the file of a completed job be over from now on.
async fn let_expire(db: &Db, job: JobId) -> Result<()> {
    sqlx::query("UPDATE export_jobs SET expires_at = now() WHERE job_id = $1")
        .bind(job.as_uuid())
        .execute(&db.pool)
        .await?;
    Ok(())
}

async fn no_mail(db: &Db) -> Result<bool> {
    let mail = notifications::claim_due(&mut *db.conn().await?, Channel::Email, LEASE, &[]).await?;
    Ok(mail.is_none())
}
