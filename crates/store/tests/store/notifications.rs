//! Notifications: due once, retried on their own schedule, fenced.

use std::time::Duration;

use crate::db::{Db, LEASE, request};
use anyhow::Result;
use domain::ErrorCode;
use serde_json::json;
use store::StoreError;
use store::jobs::{self, NewJob};
use store::notifications::{self, Channel, DueNotification};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_mail_is_sent_by_one_process() -> Result<()> {
    let db = Db::fresh().await?;
    db.completed().await?;
    let mail = due(&db).await?.expect("due at once");
    assert_eq!(mail.attempts, 1);
    assert!(due(&db).await?.is_none());
    notifications::sent(&mut *db.conn().await?, &mail).await?;
    db.expire_leases().await?;
    assert!(due(&db).await?.is_none());
    changes_nothing(&db, &mail).await
}

#[tokio::test]
async fn a_mail_that_was_refused_is_tried_again() -> Result<()> {
    let db = Db::fresh().await?;
    db.completed().await?;
    let mail = due(&db).await?.expect("due at once");
    notifications::retry(&mut *db.conn().await?, &mail, HOUR, "421 busy").await?;
    changes_nothing(&db, &mail).await?;
    assert!(due(&db).await?.is_none());
    sqlx::query("UPDATE export_notifications SET run_after = run_after - interval '1 hour'")
        .execute(&db.pool)
        .await?;
    let again = due(&db).await?.expect("an hour has passed");
    assert_eq!((again.id, again.attempts), (mail.id, 2));
    notifications::give_up(&mut *db.conn().await?, &again, "550 no such user").await?;
    db.expire_leases().await?;
    assert!(due(&db).await?.is_none());
    changes_nothing(&db, &again).await
}

#[tokio::test]
async fn a_process_that_lost_its_lease_can_change_nothing() -> Result<()> {
    let db = Db::fresh().await?;
    db.completed().await?;
    let zombie = due(&db).await?.expect("due at once");
    db.expire_leases().await?;
    let successor = due(&db).await?.expect("the lease has ended");
    assert_eq!(successor.attempts, 2);
    changes_nothing(&db, &zombie).await?;
    notifications::sent(&mut *db.conn().await?, &successor).await?;
    Ok(())
}

#[tokio::test]
async fn a_mail_that_is_given_up_leaves_an_event() -> Result<()> {
    let db = Db::fresh().await?;
    let job = db.completed().await?.job.id;
    let zombie = due(&db).await?.expect("due at once");
    db.expire_leases().await?;
    let mail = due(&db).await?.expect("the lease has ended");
    changes_nothing(&db, &zombie).await?;
    let trail = ["requested", "started", "completed", "unnotified"];
    assert_eq!(db.trail(job).await?, trail[..3]);
    notifications::give_up(&mut *db.conn().await?, &mail, "550 no such user").await?;
    changes_nothing(&db, &mail).await?;
    assert_eq!(db.trail(job).await?, trail);
    Ok(())
}

#[tokio::test]
async fn a_mail_and_a_call_of_a_webhook_do_not_know_of_each_other() -> Result<()> {
    let db = Db::fresh().await?;
    let job = NewJob {
        request: request(
            &json!({ "options": { "notify": { "webhook": "https://example.com/" } } }),
        ),
        ..db.new_job()
    };
    let mut conn = db.conn().await?;
    jobs::insert(&mut conn, job.clone()).await?;
    let claim = db.claim().await?.expect("due");
    jobs::fail(&mut conn, &claim, &ErrorCode::Internal.into(), "a test").await?;

    let call = due_by(&db, Channel::Webhook).await?.expect("due at once");
    let mail = due(&db).await?.expect("due at once");
    assert_ne!(call.id, mail.id);
    assert_eq!(call.request.notify, job.request.notify);
    notifications::sent(&mut conn, &mail).await?;
    notifications::retry(&mut conn, &call, HOUR, "500").await?;
    db.expire_leases().await?;
    assert!(due(&db).await?.is_none(), "it is not sent again");
    sqlx::query("UPDATE export_notifications SET run_after = run_after - interval '1 hour'")
        .execute(&db.pool)
        .await?;
    let again = due_by(&db, Channel::Webhook)
        .await?
        .expect("an hour has passed");
    assert_eq!((again.id, again.attempts), (call.id, 2));
    notifications::give_up(&mut conn, &again, "410").await?;
    let trail = ["requested", "started", "failed", "unnotified"];
    assert_eq!(db.trail(job.id).await?, trail);
    Ok(())
}

#[tokio::test]
async fn those_of_an_organization_that_has_no_room_wait() -> Result<()> {
    let db = Db::fresh().await?;
    db.completed().await?;
    let others = db.new_organization().await?;
    db.post_for(others).await?;
    let claim = db.claim().await?.expect("due");
    let mut conn = db.conn().await?;
    jobs::fail(&mut conn, &claim, &ErrorCode::Internal.into(), "a test").await?;

    let full = [db.organization];
    let mail = notifications::claim_due(&mut conn, Channel::Email, LEASE, &full).await?;
    assert_eq!(mail.expect("due at once").job.organization, others);
    let none = notifications::claim_due(&mut conn, Channel::Email, LEASE, &full).await?;
    assert!(none.is_none());
    let mail = due(&db).await?.expect("there is room again");
    assert_eq!(mail.job.organization, db.organization);
    Ok(())
}

async fn due(db: &Db) -> Result<Option<DueNotification>> {
    due_by(db, Channel::Email).await
}

async fn due_by(db: &Db, channel: Channel) -> Result<Option<DueNotification>> {
    Ok(notifications::claim_due(&mut *db.conn().await?, channel, LEASE, &[]).await?)
}

async fn changes_nothing(db: &Db, mail: &DueNotification) -> Result<()> {
    let mut conn = db.conn().await?;
    for (write, result) in [
        ("sent", notifications::sent(&mut conn, mail).await),
        (
            "retry",
            notifications::retry(&mut conn, mail, HOUR, "late").await,
        ),
        (
            "give_up",
            notifications::give_up(&mut conn, mail, "late").await,
        ),
    ] {
        let error = result.expect_err(write);
        assert!(matches!(error, StoreError::LeaseLost), "{write}: {error:?}");
    }
    Ok(())
}
