//! How much there is to do.

use std::time::Duration;

use crate::db::{Db, LEASE, LOCATION, RETENTION, file};
use anyhow::Result;
use store::jobs::{self, Queue};

async fn queue(db: &Db) -> Result<Queue> {
    Ok(jobs::queue(&mut *db.conn().await?).await?)
}

#[tokio::test]
async fn jobs_are_counted_by_what_they_wait_for() -> Result<()> {
    let db = Db::fresh().await?;
    assert_eq!(queue(&db).await?, Queue::default());

    let delayed = db.claimed().await?;
    jobs::retry(&mut *db.conn().await?, &delayed, LEASE, "connection reset").await?;
    db.claimed().await?;
    let mut expected = Queue {
        delayed: 1,
        processing: 1,
        ..Queue::default()
    };
    assert_eq!(queue(&db).await?, expected);

    let waits = db.post().await?;
    sqlx::query("UPDATE export_jobs SET run_after = now() - interval '1 hour' WHERE job_id = $1")
        .bind(waits.as_uuid())
        .execute(&db.pool)
        .await?;
    let seen = queue(&db).await?;
    let hour = Duration::from_hours(1);
    assert!((hour..hour * 2).contains(&seen.oldest_due), "{seen:?}");
    expected.due = 1;
    expected.oldest_due = seen.oldest_due;
    assert_eq!(seen, expected);

    // A job whose worker let its lease expire is due like any other.
    db.expire_leases().await?;
    let seen = queue(&db).await?;
    assert_eq!((seen.due, seen.delayed, seen.processing), (2, 1, 0));
    Ok(())
}

#[tokio::test]
async fn jobs_that_have_ended_are_not_counted() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.claimed().await?;
    jobs::complete(&mut *db.conn().await?, &claim, &file(), LOCATION, RETENTION).await?;
    assert_eq!(queue(&db).await?, Queue::default());
    Ok(())
}
