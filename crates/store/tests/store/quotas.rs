//! What organizations may have and use.

use anyhow::Result;
use domain::{ExportedFile, OrganizationId};
use store::jobs::{self, Claim, Claimed, Terms};
use store::quotas::{self, Exceeded, Quota, QuotaRule, QuotasConfig, Resource, RunningLimits};
use tokio::task::JoinSet;

use crate::db::{Db, IDLE, LOCATION, RETENTION, file, worker};

/// Quotas that limit how many jobs run and wait.
pub(crate) fn quotas(max_running: u32, max_queued: u32) -> QuotasConfig {
    QuotasConfig {
        default: Quota {
            max_running,
            max_queued,
            max_rows_per_day: 0,
            max_bytes_per_day: 0,
            max_range_days: 0,
        },
        rules: Vec::new(),
    }
}

/// A rule that says nothing of an organization.
pub(crate) fn rule(organization: OrganizationId) -> QuotaRule {
    QuotaRule {
        organization,
        max_running: None,
        max_queued: None,
        max_rows_per_day: None,
        max_bytes_per_day: None,
        max_range_days: None,
    }
}

/// Claims a job while organizations may have no more than `running` at work.
async fn claim(db: &Db, running: &RunningLimits) -> Result<Option<Claim>> {
    let terms = Terms { running, ..IDLE };
    match jobs::claim(&mut *db.conn().await?, &worker(1), &terms).await? {
        Claimed::Job(claim) => Ok(Some(*claim)),
        Claimed::Nothing | Claimed::Suspect | Claimed::Invalid(_) => Ok(None),
    }
}

async fn check(db: &Db, quota: &Quota) -> Result<Option<Exceeded>> {
    let mut conn = db.conn().await?;
    Ok(quotas::check(&mut conn, db.organization, quota).await?)
}

async fn complete(db: &Db, file: &ExportedFile) -> Result<()> {
    let claim = db.claimed().await?;
    let mut conn = db.conn().await?;
    Ok(jobs::complete(&mut conn, &claim, &file.clone().into(), LOCATION, RETENTION).await?)
}

#[tokio::test]
async fn jobs_over_the_limit_wait_and_others_pass_by() -> Result<()> {
    let db = Db::fresh().await?;
    let other = db.new_organization().await?;
    let running = quotas(2, 0).running();
    for _ in 0..3 {
        db.post().await?;
    }
    let first = claim(&db, &running).await?.expect("due");
    claim(&db, &running).await?.expect("there is room for two");
    assert!(claim(&db, &running).await?.is_none());
    let passes = db.post_for(other).await?;
    assert_eq!(claim(&db, &running).await?.expect("due").job.id, passes);

    // A job that has ended makes room, and so does one whose worker has died: for itself.
    jobs::release(&mut *db.conn().await?, &first).await?;
    claim(&db, &running).await?.expect("there is room for one");
    assert!(claim(&db, &running).await?.is_none());
    db.expire_leases().await?;
    for _ in 0..3 {
        claim(&db, &running).await?.expect("two and one");
    }
    assert!(claim(&db, &running).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_rule_stands_over_the_default() -> Result<()> {
    let db = Db::fresh().await?;
    let mut quotas = quotas(1, 5);
    quotas.rules = vec![
        QuotaRule {
            max_running: Some(0),
            ..rule(db.organization)
        },
        QuotaRule {
            max_running: Some(1),
            ..rule(db.organization)
        },
    ];
    assert_eq!(quotas.of(db.organization).max_queued, 5);
    let other = db.new_organization().await?;
    let running = quotas.running();
    for _ in 0..3 {
        db.post().await?;
        db.post_for(other).await?;
    }
    let mut ours = 0;
    while let Some(claim) = claim(&db, &running).await? {
        ours += u32::from(claim.job.organization == db.organization);
    }
    let theirs: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM export_jobs WHERE status = 'PROCESSING' AND organization_id = $1",
    )
    .bind(other.as_uuid())
    .fetch_one(&db.pool)
    .await?;
    assert_eq!((ours, theirs), (3, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_the_same_moment_keep_to_the_limit() -> Result<()> {
    let db = Db::fresh().await?;
    for _ in 0..40 {
        db.post().await?;
    }
    let mut workers = JoinSet::new();
    for number in 0..16 {
        let pool = db.pool.clone();
        workers.spawn(async move {
            let running = quotas(3, 0).running();
            let terms = Terms {
                running: &running,
                ..IDLE
            };
            let mut conn = store::acquire(&pool).await?;
            let mut taken = 0;
            for _ in 0..10 {
                let claimed = jobs::claim(&mut conn, &worker(number), &terms).await?;
                taken += u32::from(matches!(claimed, Claimed::Job(_)));
            }
            anyhow::Ok(taken)
        });
    }
    let mut taken = 0;
    while let Some(worker) = workers.join_next().await {
        taken += worker??;
    }
    assert_eq!(taken, 3);
    Ok(())
}

#[tokio::test]
async fn what_is_exported_counts_for_the_day() -> Result<()> {
    let db = Db::fresh().await?;
    let rows = Quota {
        max_rows_per_day: 84,
        ..quotas(0, 0).default
    };
    let bytes = Quota {
        max_bytes_per_day: 2000,
        ..quotas(0, 0).default
    };
    complete(&db, &file()).await?;
    assert_eq!(check(&db, &rows).await?, None);
    assert_eq!(check(&db, &bytes).await?, None);
    complete(&db, &file()).await?;

    let exceeded = check(&db, &rows).await?.expect("used up");
    assert_eq!(exceeded.resource, Resource::Rows);
    assert_eq!((exceeded.limit, exceeded.used), (84, 84));
    assert!(exceeded.day_ends_in.as_secs() <= 86_400);
    let exceeded = check(&db, &bytes).await?.expect("used up");
    assert_eq!(exceeded.resource, Resource::Bytes);
    assert_eq!((exceeded.limit, exceeded.used), (2000, 2468));

    let mut conn = db.conn().await?;
    let other = db.new_organization().await?;
    assert_eq!(quotas::check(&mut conn, other, &rows).await?, None);
    sqlx::query("UPDATE export_usage SET day = day - 1")
        .execute(&mut *conn)
        .await?;
    assert_eq!(check(&db, &rows).await?, None);
    Ok(())
}

#[tokio::test]
async fn the_last_place_in_the_queue_is_given_once() -> Result<()> {
    let db = Db::fresh().await?;
    let quota = quotas(0, 1).default;
    let (mut first, mut second) = (db.conn().await?, db.conn().await?);
    let mut tx = store::begin(&mut first).await?;
    assert_eq!(quotas::check(&mut tx, db.organization, &quota).await?, None);
    jobs::insert(&mut tx, db.new_job()).await?;
    // Another organization does not wait.
    let other = db.new_organization().await?;
    assert_eq!(quotas::check(&mut second, other, &quota).await?, None);

    let organization = db.organization;
    let waits = tokio::spawn(async move {
        let mut tx = store::begin(&mut second).await?;
        anyhow::Ok(quotas::check(&mut tx, organization, &quota).await?)
    });
    let blocked = "SELECT count(*) > 0 FROM pg_locks JOIN pg_database ON oid = database
                   WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
    while !sqlx::query_scalar::<_, bool>(blocked)
        .fetch_one(&db.pool)
        .await?
    {
        tokio::task::yield_now().await;
    }
    tx.commit().await?;
    let exceeded = waits.await??.expect("used up");
    assert_eq!(exceeded.resource, Resource::Queue);
    assert_eq!((exceeded.limit, exceeded.used), (1, 1));

    db.claim().await?.expect("due");
    assert_eq!(check(&db, &quota).await?, None);
    Ok(())
}
