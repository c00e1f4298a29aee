//! How much there is to do.

use std::time::Duration;

use crate::db::{Db, LEASE, LOCATION, RETENTION, file};
use crate::quotas::{quotas, rule};
use anyhow::Result;
use store::jobs::{self, Queue};
use store::quotas::{QuotaRule, QuotasConfig, RunningLimits};

async fn queue(db: &Db) -> Result<Queue> {
    Ok(jobs::queue(&mut *db.conn().await?, &RunningLimits::NONE).await?)
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
async fn a_job_that_waits_behind_others_of_its_organization_is_not_old() -> Result<()> {
    let db = Db::fresh().await?;
    let others = db.new_organization().await?;
    for organization in [db.organization, db.organization, others] {
        db.post_for(organization).await?;
    }
    db.claim().await?.expect("due");
    let age = async |hours: i32, organization| {
        let sql = "UPDATE export_jobs SET run_after = now() - make_interval(hours => $1)
                   WHERE organization_id = $2 AND status = 'PENDING'";
        let aged = sqlx::query(sql).bind(hours).bind(organization);
        aged.execute(&db.pool).await
    };
    age(5, db.organization.as_uuid()).await?;
    age(2, others.as_uuid()).await?;

    for (default, ours, hours) in [(0, 0, 5), (1, 2, 5), (0, 1, 2), (1, 1, 2)] {
        let limits = QuotasConfig {
            // The first counts.
            rules: [ours, 9]
                .map(|max_running| QuotaRule {
                    max_running: Some(max_running),
                    ..rule(db.organization)
                })
                .into(),
            ..quotas(default, 0)
        };
        let limits = limits.running();
        let seen = jobs::queue(&mut *db.conn().await?, &limits).await?;
        assert_eq!((seen.due, seen.processing), (2, 1));
        let oldest = seen.oldest_due.as_secs() / 3600;
        assert_eq!(oldest, hours, "{default} {ours}");
    }
    Ok(())
}

#[tokio::test]
async fn jobs_that_have_ended_are_not_counted() -> Result<()> {
    let db = Db::fresh().await?;
    let claim = db.claimed().await?;
    jobs::complete(
        &mut *db.conn().await?,
        &claim,
        &file().into(),
        LOCATION,
        RETENTION,
    )
    .await?;
    assert_eq!(queue(&db).await?, Queue::default());
    Ok(())
}
