//! What exports took: whose count, and which are alike.

use std::time::Duration;

use anyhow::Result;
use domain::{ExportedFile, OrganizationId};
use serde_json::{Value, json};
use store::jobs::{self, Cost};
use uuid::Uuid;

use crate::db::{Db, LOCATION, RETENTION, file, narrowed, request};

/// Makes an export of so many rows that took so many seconds.
async fn made(db: &Db, changes: &Value, rows: u64, seconds: f64) -> Result<()> {
    let job = jobs::NewJob {
        request: request(changes),
        ..db.new_job()
    };
    let mut conn = db.conn().await?;
    let job = jobs::insert(&mut conn, job).await?;
    let claim = db.claim().await?.expect("the job is due");
    let file = ExportedFile { rows, ..file() };
    jobs::complete(&mut conn, &claim, &file.into(), LOCATION, RETENTION).await?;
    sqlx::query(
        "UPDATE export_jobs SET started_at = completed_at - make_interval(secs => $2)
         WHERE job_id = $1",
    )
    .bind(job.id.as_uuid())
    .bind(seconds)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// Returns the rows of the exports that count for an organization, fewest first.
async fn counted(db: &Db, organization: OrganizationId, changes: &Value) -> Result<Vec<u64>> {
    let mut conn = db.conn().await?;
    let costs = jobs::costs(&mut conn, organization, &narrowed(&[]), &request(changes)).await?;
    let mut rows: Vec<_> = costs.iter().map(|cost| cost.rows).collect();
    rows.sort_unstable();
    Ok(rows)
}

#[tokio::test]
async fn exports_that_differ_in_window_and_filters_are_alike() -> Result<()> {
    let db = Db::fresh().await?;
    made(&db, &json!({}), 10, 1.5).await?;
    let other_rows =
        json!({"start_time": "2025-01-01T00:00:00Z", "filters": {"service_name": "a"}});
    made(&db, &other_rows, 20, 0.0).await?;
    // A file without rows says nothing of what a row takes.
    made(&db, &json!({}), 0, 9.0).await?;
    let different = [
        json!({"data_type": "traces"}),
        json!({"format": "json"}),
        json!({"compression": "none"}),
        json!({"columns": ["body"]}),
        json!({"options": {"order": "storage"}}),
    ];
    for (rows, changes) in (30..).zip(&different) {
        made(&db, changes, rows, 1.0).await?;
    }

    let mut conn = db.conn().await?;
    let mut costs = jobs::costs(
        &mut conn,
        db.organization,
        &narrowed(&[]),
        &request(&json!({})),
    )
    .await?;
    costs.sort_by_key(|cost| cost.rows);
    let cost = |rows, elapsed| Cost {
        rows,
        size_bytes: file().size_bytes,
        elapsed,
    };
    assert_eq!(
        costs,
        [
            cost(10, Duration::from_millis(1_500)),
            cost(20, Duration::ZERO)
        ]
    );
    for (rows, changes) in (30..).zip(&different) {
        assert_eq!(counted(&db, db.organization, changes).await?, [rows]);
    }
    // A file that is gone has been made all the same.
    sqlx::query("UPDATE export_jobs SET status = 'EXPIRED'")
        .execute(&db.pool)
        .await?;
    assert_eq!(counted(&db, db.organization, &json!({})).await?, [10, 20]);
    Ok(())
}

#[tokio::test]
async fn those_of_all_count_where_an_organization_has_none() -> Result<()> {
    let db = Db::fresh().await?;
    let newcomer = OrganizationId::from(Uuid::new_v4());
    for rows in 1..=4 {
        made(&db, &json!({}), rows, 1.0).await?;
    }
    let few = counted(&db, newcomer, &json!({})).await?;
    assert!(few.is_empty(), "so few could be told apart: {few:?}");
    made(&db, &json!({}), 5, 1.0).await?;
    let all = counted(&db, newcomer, &json!({})).await?;
    assert_eq!(all, [1, 2, 3, 4, 5]);
    assert!(
        counted(&db, newcomer, &json!({"format": "json"}))
            .await?
            .is_empty()
    );
    Ok(())
}

/// What rows of another tenant take is nobody else's business.
#[tokio::test]
async fn exports_of_more_rows_than_somebody_may_see_do_not_count() -> Result<()> {
    let db = Db::fresh().await?;
    for (rows, tenant) in [(10, "a"), (20, "b"), (30, "")] {
        made(&db, &json!({}), rows, 1.0).await?;
        sqlx::query("UPDATE export_jobs SET narrowed_to = $1 WHERE rows_exported = $2")
            .bind(match tenant {
                "" => json!({}),
                tenant => json!({ "tenant_id": tenant }),
            })
            .bind(i64::try_from(rows)?)
            .execute(&mut *db.conn().await?)
            .await?;
    }
    let mut conn = db.conn().await?;
    for (fields, expected) in [
        (&[] as &[_], vec![10, 20, 30]),
        (&[("tenant_id", "a")], vec![10]),
        (&[("tenant_id", "c")], vec![]),
    ] {
        let (narrowed_to, alike) = (narrowed(fields), request(&json!({})));
        let costs = jobs::costs(&mut conn, db.organization, &narrowed_to, &alike).await?;
        let mut rows: Vec<_> = costs.iter().map(|cost| cost.rows).collect();
        rows.sort_unstable();
        assert_eq!(rows, expected, "{fields:?}");
    }
    Ok(())
}
