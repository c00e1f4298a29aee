//! Schedules: limited, locked by one process at a time, and one job for each run.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{JobId, Schedule, ScheduleErrorCode, ScheduleFailure, ScheduleId, ScheduleRequest};
use serde_json::json;
use store::jobs::{self, NewJob, Run, Scope};
use store::schedules::{self, NewSchedule};
use store::{PgConnection, StoreError};
use uuid::Uuid;

use crate::db::{Db, elsewhere, narrowed};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn new_schedule(db: &Db) -> NewSchedule {
    let body = json!({
        "name": "daily", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "last": "day",
        "prefix": "nightly/errors", "export": { "data_type": "logs", "format": "csv" },
    });
    let next_run_at = time("2026-01-01T01:30:00Z");
    NewSchedule {
        id: Uuid::new_v4().into(),
        organization: db.organization,
        narrowed_to: narrowed(&[]),
        user: db.user,
        request: ScheduleRequest::parse(&body, TimeDelta::zero(), next_run_at).expect("valid"),
        next_run_at,
    }
}

/// Lists the schedules of a scope, all of which can be read.
async fn list(conn: &mut PgConnection, scope: &Scope) -> Result<Vec<Schedule>> {
    let schedules = schedules::list(conn, scope).await?.into_iter();
    Ok(schedules.collect::<Result<_, _>>()?)
}

async fn inserted(db: &Db) -> Result<NewSchedule> {
    let schedule = new_schedule(db);
    assert!(schedules::insert(&mut *db.conn().await?, &schedule, 10).await?);
    Ok(schedule)
}

fn job_of(db: &Db, schedule: ScheduleId, run_at: DateTime<Utc>) -> NewJob {
    NewJob {
        run: Some(Run {
            schedule,
            run_at,
            prefix: None,
        }),
        ..db.new_job()
    }
}

#[tokio::test]
async fn a_schedule_reads_back() -> Result<()> {
    let db = Db::fresh().await?;
    let schedule = inserted(&db).await?;
    let mut conn = db.conn().await?;
    let read = schedules::get(&mut conn, &db.scope(), schedule.id).await?;
    let read = read.expect("it is there");
    assert_eq!(read.request, schedule.request);
    assert_eq!(read.next_run_at, Some(schedule.next_run_at));
    assert_eq!((read.user, read.failure.clone()), (db.user, None));
    assert_eq!(list(&mut conn, &db.scope()).await?, [read]);

    assert!(schedules::delete(&mut conn, &db.scope(), schedule.id).await?);
    assert_eq!(list(&mut conn, &db.scope()).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_schedule_is_out_of_reach_of_others() -> Result<()> {
    let db = Db::fresh().await?;
    let schedule = inserted(&db).await?.id;
    let mut conn = db.conn().await?;
    for scope in elsewhere(&db) {
        let read = schedules::get(&mut conn, &scope, schedule).await?;
        assert_eq!(read, None, "{scope:?}");
        assert_eq!(list(&mut conn, &scope).await?, [], "{scope:?}");
        assert!(!schedules::delete(&mut conn, &scope, schedule).await?);
    }
    let admin = Scope {
        user: None,
        ..db.scope()
    };
    let read = schedules::get(&mut conn, &admin, schedule).await?;
    assert_eq!(list(&mut conn, &admin).await?, [read.expect("it is there")]);
    assert!(schedules::delete(&mut conn, &admin, schedule).await?);
    Ok(())
}

#[tokio::test]
async fn a_narrowed_schedule_is_in_reach_of_who_sees_its_rows() -> Result<()> {
    let db = Db::fresh().await?;
    let schedule = NewSchedule {
        narrowed_to: narrowed(&[("tenant_id", "a")]),
        ..new_schedule(&db)
    };
    let mut conn = db.conn().await?;
    assert!(schedules::insert(&mut conn, &schedule, 10).await?);
    for (fields, is_in_reach) in [
        (&[] as &[_], true),
        (&[("tenant_id", "a")], true),
        (&[("tenant_id", "b")], false),
        (&[("workspace_id", "a")], false),
    ] {
        let scope = Scope {
            narrowed_to: narrowed(fields),
            ..db.scope()
        };
        let read = schedules::get(&mut conn, &scope, schedule.id).await?;
        assert_eq!(read.is_some(), is_in_reach, "{fields:?}");
        assert!(read.is_none_or(|read| read.narrowed_to == schedule.narrowed_to));
        let listed = list(&mut conn, &scope).await?;
        assert_eq!(!listed.is_empty(), is_in_reach, "{fields:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_organization_has_so_many_and_no_more() -> Result<()> {
    let db = Db::fresh().await?;
    let [first, second, third] = [(); 3].map(|()| new_schedule(&db));
    let (mut one, mut two) = (db.conn().await?, db.conn().await?);
    assert!(schedules::insert(&mut one, &first, 2).await?);
    // At the same moment, one of the two comes too late.
    let (second, third) = tokio::try_join!(
        schedules::insert(&mut one, &second, 2),
        schedules::insert(&mut two, &third, 2),
    )?;
    assert!(second != third);
    assert_eq!(list(&mut one, &db.scope()).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn two_processes_never_get_the_same_run() -> Result<()> {
    let db = Db::fresh().await?;
    let schedule = inserted(&db).await?;
    let (mut one, mut two) = (db.conn().await?, db.conn().await?);
    let mut first = store::begin(&mut one).await?;
    let due = schedules::lock_due(&mut first, &[])
        .await?
        .expect("it is due");
    assert_eq!(due.schedule.id, schedule.id);
    assert_eq!(due.run_at, schedule.next_run_at);
    let mut second = store::begin(&mut two).await?;
    assert!(schedules::lock_due(&mut second, &[]).await?.is_none());

    let job = job_of(&db, schedule.id, due.run_at);
    schedules::make(&mut first, job.clone()).await?;
    let next = due.now + TimeDelta::hours(1);
    schedules::advance(&mut first, schedule.id, due.run_at, Ok(job.id), Some(next)).await?;
    first.commit().await?;
    assert!(schedules::lock_due(&mut second, &[]).await?.is_none());
    second.rollback().await?;

    let read = schedules::get(&mut one, &db.scope(), schedule.id).await?;
    let read = read.expect("it is there");
    assert_eq!(read.last_job, Some(job.id));
    assert_eq!(read.last_run_at, Some(due.run_at));
    assert_eq!(db.get(job.id).await?.schedule, Some(schedule.id));
    // And if it all happened again, the run would have its job.
    let again = jobs::insert(&mut one, job_of(&db, schedule.id, due.run_at)).await;
    assert!(matches!(again, Err(StoreError::Database(_))), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn a_user_who_is_gone_fails_the_run_and_not_the_transaction() -> Result<()> {
    let db = Db::fresh().await?;
    let schedule = inserted(&db).await?;
    let mut conn = db.conn().await?;
    let mut tx = store::begin(&mut conn).await?;
    let due = schedules::lock_due(&mut tx, &[]).await?.expect("it is due");
    let mut job = job_of(&db, schedule.id, due.run_at);
    job.user = Uuid::new_v4().into();
    let refused = schedules::make(&mut tx, job).await;
    assert!(matches!(refused, Err(StoreError::UnknownPrincipal(_))));
    let failure = ScheduleFailure {
        code: ScheduleErrorCode::UnknownPrincipal,
        message: "gone".to_owned(),
    };
    let outcome: Result<JobId, &ScheduleFailure> = Err(&failure);
    let next = due.now + TimeDelta::hours(1);
    schedules::advance(&mut tx, schedule.id, due.run_at, outcome, Some(next)).await?;
    tx.commit().await?;
    let read = schedules::get(&mut conn, &db.scope(), schedule.id).await?;
    let read = read.expect("it is there");
    assert_eq!((read.failure, read.last_job), (Some(failure), None));
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_does_not_hold_up_the_others() -> Result<()> {
    let db = Db::fresh().await?;
    let (broken, sound) = (inserted(&db).await?, inserted(&db).await?);
    sqlx::query(
        "UPDATE export_schedules SET cron = 'once', next_run_at = '2025-01-01' WHERE schedule_id = $1",
    )
    .bind(broken.id.as_uuid())
    .execute(&db.pool)
    .await?;
    let mut conn = db.conn().await?;
    let error = schedules::lock_due(&mut conn, &[]).await.unwrap_err();
    let StoreError::CorruptSchedule { schedule } = error else {
        panic!("{error:?}")
    };
    assert_eq!(schedule, broken.id);
    let due = schedules::lock_due(&mut conn, &[schedule])
        .await?
        .expect("the other one");
    assert_eq!(due.schedule.id, sound.id);
    Ok(())
}
