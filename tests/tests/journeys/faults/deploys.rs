//! Workers are told to stop, as at each deploy, and nothing that was done is done again.

use std::fs;

use anyhow::Result;
use devstack::{Service, Signal};
use serde_json::Value;

use crate::exports::{BYTES_PER_SECOND, SOON, Slow, ask, claimed, events, plain, plain_as_stored};

/// A poll that never helps.
const NO_POLL: (&str, &str) = ("EXPORT__WORKER__POLL_INTERVAL_MS", "600000");

const LEASE: (&str, &str) = ("EXPORT__WORKER__LEASE_S", "60");

/// Checks that no worker has read what another had read, as they say when they resume.
fn check_no_row_was_read_twice(worker: &Service) -> Result<()> {
    let log = fs::read_to_string(worker.log())?;
    let resumptions: Vec<_> = log
        .lines()
        .filter(|line| line.contains("resuming"))
        .collect();
    assert!(!resumptions.is_empty());
    for line in resumptions {
        assert!(line.contains("repeated_rows=0"), "{line}");
    }
    Ok(())
}

async fn counts(slow: &Slow, id: &str) -> Result<Value> {
    let sql = "SELECT jsonb_build_object('attempts', attempts, 'deaths', lost_leases)
               FROM export_jobs WHERE job_id = $1::uuid";
    ask(&slow.world, id, sql).await
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends_the_slice_that_it_reads() -> Result<()> {
    let slow = Slow::new().await?;
    let one_slice = ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "1000000");
    let mut worker = slow.slow_worker(&[one_slice]).await?;
    slow.clickhouse.throttle(BYTES_PER_SECOND);
    let id = slow.api.accepted(&plain_as_stored()).await?;
    slow.bucket.part_arrived().await?;
    worker.signal(Signal::Terminate)?;
    assert!(worker.wait(SOON).await?.success());
    assert_eq!(slow.api.job(&id).await?["status"], "COMPLETED");

    let _for_the_mail = slow.worker(&[]).await?;
    slow.check_completed(&id).await?;
    Ok(())
}

#[tokio::test]
async fn an_idle_worker_goes_on_at_once_where_a_deploy_stopped_another() -> Result<()> {
    let slow = Slow::new().await?;
    let mut stopped = slow.slow_worker(&[LEASE]).await?;
    let id = slow.begun(1).await?;
    let idle = slow.worker(&[LEASE, NO_POLL]).await?;
    stopped.signal(Signal::Terminate)?;
    assert!(stopped.wait(SOON).await?.success());
    slow.check_completed(&id).await?;

    let events = events(&slow.world, &id).await?;
    assert_eq!(events, ["requested", "started", "resumed", "completed"]);
    check_no_row_was_read_twice(&idle)?;
    let waited = "SELECT extract(epoch FROM event.at - job.run_after)::float8
                  FROM export_events AS event JOIN export_jobs AS job USING (job_id)
                  WHERE job_id = $1::uuid AND kind = 'resumed'";
    let waited: f64 = ask(&slow.world, &id, waited).await?;
    assert!((0.0..5.0).contains(&waited), "{waited} s");
    let counts = counts(&slow, &id).await?;
    assert_eq!(counts, serde_json::json!({"attempts": 1, "deaths": 0}));
    Ok(())
}

#[tokio::test]
async fn a_job_survives_rolling_restarts() -> Result<()> {
    let slow = Slow::new().await?;
    let settings = [LEASE, ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "4000")];
    let mut workers = vec![
        slow.slow_worker(&settings).await?,
        slow.slow_worker(&settings).await?,
    ];
    let id = slow.begun(1).await?;
    for _ in 0..4 {
        workers.remove(0).stop(SOON).await?;
        workers.push(slow.slow_worker(&settings).await?);
    }
    slow.clickhouse.heal().await?;
    slow.check_completed(&id).await?;
    check_no_row_was_read_twice(&workers[0])?;
    let counts = counts(&slow, &id).await?;
    assert_eq!(counts, serde_json::json!({"attempts": 1, "deaths": 0}));
    Ok(())
}

#[tokio::test]
async fn a_job_that_outlives_the_grace_is_given_back_uncounted() -> Result<()> {
    let slow = Slow::new().await?;
    let impatient = [LEASE, ("EXPORT__WORKER__SHUTDOWN_GRACE_S", "0")];
    let strict = [
        ("EXPORT__RETRY__MAX_ATTEMPTS", "1"),
        ("EXPORT__WORKER__MAX_DEATHS", "1"),
    ];
    slow.clickhouse.stall_after(0);
    let id = slow.api.accepted(&plain()).await?;
    for deploy in 1..=4 {
        let worker = slow.slow_worker(&[impatient, strict].concat()).await?;
        claimed(&slow.world, &id, deploy).await?;
        worker.stop(SOON).await?;
        assert_eq!(slow.api.job(&id).await?["status"], "PENDING");
        let counts = counts(&slow, &id).await?;
        assert_eq!(counts, serde_json::json!({"attempts": 0, "deaths": 0}));
    }
    let _last = slow.worker(&strict).await?;
    slow.check_completed(&id).await?;
    Ok(())
}
