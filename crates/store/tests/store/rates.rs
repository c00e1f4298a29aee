//! How often organizations may ask.

use std::time::Duration;

use anyhow::Result;
use store::rates::{self, Rate, Standing};
use tokio::task::JoinSet;

use crate::db::Db;

const MINUTE: Duration = Rate::WINDOW;

async fn take(db: &Db, rate: Rate) -> Result<Standing> {
    let mut conn = db.conn().await?;
    Ok(rates::take(&mut conn, db.organization, rate).await?)
}

#[tokio::test]
async fn requests_are_there_at_once_and_come_back_one_by_one() -> Result<()> {
    let db = Db::fresh().await?;
    // Each comes back after less than what 7 of them divide evenly.
    let rate = Rate::per_minute(7).expect("some");
    for number in 1..=7 {
        let standing = take(&db, rate).await?;
        assert!(!standing.refused, "request {number}");
        assert!(standing.full_in <= rate.interval() * number);
    }
    for _ in 0..2 {
        let standing = take(&db, rate).await?;
        assert!(standing.refused);
        assert!(standing.full_in + rate.interval() > MINUTE, "{standing:?}");
    }
    let mut conn = db.conn().await?;
    let other = db.new_organization().await?;
    assert!(!rates::take(&mut conn, other, rate).await?.refused);

    sqlx::query("UPDATE export_rates SET full_at = full_at - interval '9 seconds'")
        .execute(&mut *conn)
        .await?;
    assert!(!take(&db, rate).await?.refused);
    assert!(take(&db, rate).await?.refused);
    // Long ago is as good as never.
    sqlx::query("UPDATE export_rates SET full_at = full_at - interval '1 year'")
        .execute(&mut *conn)
        .await?;
    assert!(take(&db, rate).await?.full_in <= rate.interval());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_same_moment_are_counted_each() -> Result<()> {
    let db = Db::fresh().await?;
    let rate = Rate::per_minute(5).expect("some");
    let mut requests = JoinSet::new();
    for _ in 0..30 {
        let (pool, organization) = (db.pool.clone(), db.organization);
        requests.spawn(async move {
            let mut conn = store::acquire(&pool).await?;
            anyhow::Ok(rates::take(&mut conn, organization, rate).await?)
        });
    }
    let mut taken = 0;
    while let Some(standing) = requests.join_next().await {
        taken += u32::from(!standing??.refused);
    }
    assert_eq!(taken, 5);
    Ok(())
}
