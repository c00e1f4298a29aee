//! A job that kills each worker that has it ends, and takes no other job with it.

use anyhow::Result;
use devstack::Service;
use e2e::eventually;
use serde_json::json;

use crate::exports::{BYTES_PER_SECOND, Slow, ask, claimed, events, plain, until};

#[tokio::test]
async fn a_job_that_kills_its_workers_fails_and_its_neighbour_is_completed() -> Result<()> {
    let slow = Slow::new().await?;
    let two_jobs = [("EXPORT__WORKER__JOBS", "2")];
    let start = async || slow.slow_worker(&two_jobs).await;
    slow.clickhouse.stall_after(0);
    let poison = slow.api.accepted(&plain()).await?;
    let few = json!({"filters": {"body": "no such line"}});
    let neighbour = slow.api.accepted(&few).await?;

    // Nobody can know which of the two it is that kills.
    for death in 1..=2 {
        let worker = start().await?;
        claimed(&slow.world, &poison, death).await?;
        claimed(&slow.world, &neighbour, death).await?;
        worker.kill().await?;
    }
    // So from now on each of them is alone, and the poison shows itself.
    slow.clickhouse.throttle(500_000);
    let third: Service = start().await?;
    claimed(&slow.world, &poison, 3).await?;
    // The neighbour is due, too, and a slot is free.
    let due = "SELECT lease_until <= now() FROM export_jobs WHERE job_id = $1::uuid";
    until(&slow.world, &neighbour, due).await?;
    third.kill().await?;

    let _fourth = start().await?;
    let job = slow.api.failed(&poison).await?;
    assert_eq!(job["error"]["code"], "worker_lost", "{job}");
    let job = slow.api.completed(&neighbour).await?;
    assert_eq!(job["file"]["rows"], 0);
    let token = "SELECT token FROM export_jobs WHERE job_id = $1::uuid";
    let claims: i64 = ask(&slow.world, &neighbour, token).await?;
    assert_eq!(claims, 3, "the third worker had no other job");
    slow.world.check_invariants().await?;
    assert_eq!(slow.bucket.objects()?.len(), 1);
    let events = events(&slow.world, &poison).await?;
    assert_eq!(events.last().map(String::as_str), Some("failed"));
    Ok(())
}

#[tokio::test]
async fn deaths_between_checkpoints_are_forgiven() -> Result<()> {
    let slow = Slow::new().await?;
    let mut checkpoints = 0;
    slow.clickhouse.throttle(BYTES_PER_SECOND);
    let id = slow.api.accepted(&plain()).await?;
    // As many deaths as would fail a job that gets nowhere.
    while checkpoints < 3 {
        let worker = slow
            .slow_worker(&[("EXPORT__WORKER__MAX_DEATHS", "2")])
            .await?;
        eventually("one more checkpoint", async || {
            let sql = "SELECT count(*) FROM export_checkpoints WHERE job_id = $1::uuid";
            let there: i64 = ask(&slow.world, &id, sql).await?;
            Ok((there > checkpoints).then_some(()))
        })
        .await?;
        checkpoints += 1;
        worker.kill().await?;
    }
    let _last = slow.worker(&[]).await?;
    slow.check_completed(&id).await?;
    Ok(())
}
