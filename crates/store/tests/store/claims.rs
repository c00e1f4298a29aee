//! Leases and tokens: who may work on a job, and what a worker that lost it can do.

use std::collections::HashSet;
use std::time::Duration;

use crate::db::{BUSY, Db, IDLE, LEASE, LOCATION, RETENTION, file, worker};
use anyhow::Result;
use domain::{Classify, ErrorClass, ErrorCode, Failure, JobState, Progress};
use store::StoreError;
use store::jobs::{self, Claim, Claimed};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_claim_excludes_others() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.claimed().await?;
    assert_eq!((claim.attempts, claim.token()), (1, 1));
    assert_eq!(claim.job.state, JobState::Processing);
    assert!(claim.job.started_at.is_some());
    assert!(db.claim().await?.is_none());
    jobs::renew(&mut *db.conn().await?, &claim, LEASE).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_never_get_the_same_job() -> Result<()> {
    let db = Db::fresh().await?;
    let others = [db.new_organization().await?, db.new_organization().await?];
    let mut posted = HashSet::new();
    for _ in 0..100 {
        posted.insert(db.post().await?);
    }
    for organization in others.repeat(50) {
        posted.insert(db.post_for(organization).await?);
    }
    let mut workers = JoinSet::new();
    for number in 0..16 {
        let pool = db.pool.clone();
        workers.spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let mut conn = store::acquire(&pool).await?;
                match jobs::claim(&mut conn, &worker(number), &IDLE).await? {
                    Claimed::Job(claim) => claimed.push(claim.job.id),
                    Claimed::Nothing => return Ok::<_, StoreError>(claimed),
                    Claimed::Suspect => unreachable!("nobody has died"),
                    Claimed::Invalid(_) => unreachable!("all requests make sense"),
                }
            }
        });
    }
    let mut claimed = Vec::new();
    while let Some(worker) = workers.join_next().await {
        claimed.extend(worker??);
    }
    assert_eq!(claimed.len(), 200);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), posted);
    Ok(())
}

#[tokio::test]
async fn the_job_that_waits_longest_is_first() -> Result<()> {
    let db = Db::fresh().await?;
    let first = db.claimed().await?;
    let second = db.post().await?;
    // The first one's lease ends after the second was posted.
    db.expire_leases().await?;
    assert_eq!(db.claim().await?.expect("due").job.id, second);
    assert_eq!(db.claim().await?.expect("due").job.id, first.job.id);
    Ok(())
}

#[tokio::test]
async fn organizations_take_turns() -> Result<()> {
    let db = Db::fresh().await?;
    let (many, few) = (db.organization, db.new_organization().await?);
    for _ in 0..5 {
        db.post_for(many).await?;
    }
    let first = db.claim().await?.expect("due");
    assert_eq!(first.job.organization, many);

    // Posted last, begun next: the other one has a job at work.
    let id = db.post_for(few).await?;
    let second = db.claim().await?.expect("due");
    assert_eq!(second.job.id, id);

    // As many at work, so it is the turn of the one that has waited longer for one.
    let id = db.post_for(few).await?;
    let third = db.claim().await?.expect("due");
    assert_eq!(third.job.organization, many);
    assert_eq!(db.claim().await?.expect("due").job.id, id);

    // A job whose worker has died is not at work, and to take it over is to begin none.
    db.expire_leases().await?;
    for expected in [(many, 0), (few, 1), (few, 1), (many, 0)] {
        let claim = db.claim().await?.expect("due");
        assert_eq!((claim.job.organization, claim.deaths), expected);
    }
    Ok(())
}

#[tokio::test]
async fn with_one_worker_organizations_take_turns_too() -> Result<()> {
    let db = Db::fresh().await?;
    let few = db.new_organization().await?;
    for _ in 0..3 {
        db.post().await?;
    }
    let mut conn = db.conn().await?;
    for organization in [db.organization, few, db.organization] {
        if organization == few {
            db.post_for(few).await?;
        }
        let claim = db.claim().await?.expect("due");
        assert_eq!(claim.job.organization, organization);
        jobs::complete(&mut conn, &claim, &file().into(), LOCATION, RETENTION).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_locked_holds_up_nobody() -> Result<()> {
    let db = Db::fresh().await?;
    let first = db.post().await?;
    let other = db.post_for(db.new_organization().await?).await?;
    let second = db.post().await?;
    let mut conn = db.conn().await?;
    let mut tx = store::begin(&mut conn).await?;
    sqlx::query("SELECT FROM export_jobs WHERE job_id = $1 FOR UPDATE")
        .bind(first.as_uuid())
        .execute(&mut *tx)
        .await?;
    let claimed = [db.claim().await?, db.claim().await?].map(|claim| claim.expect("due").job.id);
    assert_eq!(claimed, [second, other]);
    assert!(db.claim().await?.is_none());
    tx.rollback().await?;
    assert_eq!(db.claim().await?.expect("due").job.id, first);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_slept_through_its_lease_can_change_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    let zombie = db.claimed().await?;
    db.expire_leases().await?;
    let successor = db.claim().await?.expect("the lease has ended");
    assert_eq!(successor.job.id, zombie.job.id);
    assert_eq!(successor.token(), 2);
    let before = db.get(zombie.job.id).await?;

    changes_nothing(&db, &zombie).await?;
    assert_eq!(db.get(zombie.job.id).await?, before);

    // Nor can a worker whose job has ended, though nobody else has taken it.
    jobs::complete(
        &mut *db.conn().await?,
        &successor,
        &file().into(),
        LOCATION,
        RETENTION,
    )
    .await?;
    changes_nothing(&db, &successor).await?;
    changes_nothing(&db, &zombie).await
}

async fn changes_nothing(db: &Db, claim: &Claim) -> Result<()> {
    let mut conn = db.conn().await?;
    let half = Progress::of_rows(1, 2);
    let failure = Failure::from(ErrorCode::Internal);
    let mut late = file();
    late.object_key.push_str(".late");
    for (write, result) in [
        ("renew", jobs::renew(&mut conn, claim, LEASE).await),
        (
            "progress",
            jobs::progress(&mut conn, claim, 1, Some(2), half).await,
        ),
        ("check", jobs::check(&mut conn, claim).await),
        (
            "complete",
            jobs::complete(&mut conn, claim, &late.into(), "s3://b/k", RETENTION).await,
        ),
        ("fail", jobs::fail(&mut conn, claim, &failure, "late").await),
        ("retry", jobs::retry(&mut conn, claim, LEASE, "late").await),
        ("release", jobs::release(&mut conn, claim).await),
    ] {
        let error = result.expect_err(write);
        assert!(matches!(error, StoreError::LeaseLost), "{write}: {error:?}");
        assert_eq!(error.class(), ErrorClass::Cancelled);
    }
    Ok(())
}

#[tokio::test]
async fn progress_never_goes_back() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.claimed().await?;
    jobs::progress(&mut conn, &claim, 60, Some(100), Progress::of_rows(60, 100)).await?;
    jobs::progress(&mut conn, &claim, 50, None, Progress::of_rows(50, 100)).await?;
    jobs::retry(&mut conn, &claim, Duration::ZERO, "connection reset").await?;
    let again = db.claim().await?.expect("due at once");
    jobs::progress(&mut conn, &again, 1, Some(120), Progress::of_rows(1, 120)).await?;
    let job = db.get(claim.job.id).await?;
    assert_eq!((job.progress.percent(), job.rows_exported), (60, 60));
    assert_eq!(job.rows_estimated, Some(120));
    Ok(())
}

#[tokio::test]
async fn a_retry_waits_and_counts() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let claim = db.claimed().await?;
    jobs::retry(
        &mut conn,
        &claim,
        Duration::from_hours(1),
        "connection reset",
    )
    .await?;
    let job = db.get(claim.job.id).await?;
    assert_eq!(job.state, JobState::Pending);
    assert!(db.claim().await?.is_none());
    sqlx::query("UPDATE export_jobs SET run_after = run_after - interval '1 hour'")
        .execute(&mut *conn)
        .await?;
    assert_eq!(db.claim().await?.expect("due").attempts, 2);
    Ok(())
}

#[tokio::test]
async fn a_release_is_due_at_once_and_does_not_count() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.claimed().await?;
    jobs::release(&mut *db.conn().await?, &claim).await?;
    let next = db.claim().await?.expect("due at once");
    assert_eq!((next.attempts, next.token()), (1, 2));
    Ok(())
}

#[tokio::test]
async fn only_a_lease_that_ends_is_a_death() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let first = db.claimed().await?;
    assert_eq!((first.attempts, first.deaths), (1, 0));
    // A worker that comes back in time has not died.
    db.expire_leases().await?;
    jobs::renew(&mut conn, &first, LEASE).await?;
    assert!(db.claim().await?.is_none());

    // The attempt of a worker that died is its successor's.
    let second = db.take_over().await?;
    assert_eq!((second.attempts, second.deaths), (1, 1));
    jobs::retry(&mut conn, &second, Duration::ZERO, "connection reset").await?;
    let third = db.claim().await?.expect("due at once");
    assert_eq!((third.attempts, third.deaths), (2, 1));
    jobs::release(&mut conn, &third).await?;
    let fourth = db.claim().await?.expect("due at once");
    assert_eq!((fourth.attempts, fourth.deaths), (2, 1));
    let fifth = db.take_over().await?;
    assert_eq!((fifth.attempts, fifth.deaths), (2, 2));
    assert_eq!(fifth.token(), 5);
    Ok(())
}

#[tokio::test]
async fn a_job_that_kills_workers_is_for_one_that_has_no_other() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let id = db.claimed().await?.job.id;
    for deaths in 1..=2 {
        db.expire_leases().await?;
        let before = db.get(id).await?;
        // With its second death it becomes a suspect, and a busy worker gets nothing.
        match jobs::claim(&mut conn, &worker(2), &BUSY).await? {
            Claimed::Job(claim) => assert_eq!((claim.deaths, deaths), (1, 1)),
            Claimed::Suspect => {
                assert_eq!(deaths, 2);
                assert_eq!(db.get(id).await?, before);
            }
            Claimed::Nothing => panic!("the lease has ended"),
            Claimed::Invalid(_) => panic!("the request makes sense"),
        }
    }
    let alone = db.claim().await?.expect("an idle worker takes it");
    assert_eq!((alone.job.id, alone.deaths, alone.token()), (id, 2, 3));

    // Given back, it still is one.
    jobs::release(&mut conn, &alone).await?;
    let answer = jobs::claim(&mut conn, &worker(2), &BUSY).await?;
    assert!(matches!(answer, Claimed::Suspect), "{answer:?}");
    let again = db.claim().await?.expect("an idle worker takes it");
    assert_eq!((again.job.id, again.deaths), (id, 2));
    Ok(())
}

#[tokio::test]
async fn a_claim_holds_until_another_worker_has_the_job() -> Result<()> {
    let db = Db::fresh().await?;
    let mut conn = db.conn().await?;
    let first = db.claimed().await?;
    jobs::check(&mut conn, &first).await?;
    db.expire_leases().await?;
    jobs::check(&mut conn, &first).await?;
    let second = db.claim().await?.expect("the lease has ended");
    let lost = jobs::check(&mut conn, &first).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
    jobs::check(&mut conn, &second).await?;
    jobs::release(&mut conn, &second).await?;
    let lost = jobs::check(&mut conn, &second).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
    Ok(())
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_stop_the_queue() -> Result<()> {
    let db = Db::fresh().await?;
    let broken = db.post().await?;
    sqlx::query(r#"UPDATE export_jobs SET options = '{"csv": {"colour": "red"}}'"#)
        .execute(&db.pool)
        .await?;
    let next = db.post().await?;

    let claimed = jobs::claim(&mut *db.conn().await?, &worker(1), &IDLE).await?;
    assert!(matches!(claimed, Claimed::Invalid(job) if job == broken));
    assert_eq!(db.claim().await?.expect("due").job.id, next);
    let (status, code): (String, String) =
        sqlx::query_as("SELECT status, error_code FROM export_jobs WHERE job_id = $1")
            .bind(broken.as_uuid())
            .fetch_one(&db.pool)
            .await?;
    assert_eq!(
        (status.as_str(), code.as_str()),
        ("FAILED", "invalid_request")
    );
    Ok(())
}

#[tokio::test]
async fn completing_again_after_a_lost_answer_changes_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.claimed().await?;
    let mut conn = db.conn().await?;
    for _ in 0..2 {
        jobs::complete(
            &mut conn,
            &claim,
            &file().into(),
            "s3://bucket/key",
            RETENTION,
        )
        .await?;
    }
    let mut other = file();
    other.object_key.push('x');
    let refused = jobs::complete(
        &mut conn,
        &claim,
        &other.into(),
        "s3://bucket/keyx",
        RETENTION,
    )
    .await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)));
    let (mails, events): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM export_notifications),
                (SELECT count(*) FROM export_events WHERE kind = 'completed')",
    )
    .fetch_one(&db.pool)
    .await?;
    assert_eq!((mails, events), (1, 1));
    Ok(())
}
