//! Exports of several files whose workers die: the next one goes on in the middle of any of them, and nothing
//! but the files is left.

use anyhow::Result;
use e2e::{Download, Job};
use serde_json::{Value, json};

use crate::exports::{BYTES_PER_SECOND, ROWS, Slow, TableLock, ask, events, plain, until};
use crate::splits::read;

/// Files that become objects with one request; each slice but the last ends in the middle of one.
const SMALL: u64 = 1_700;

/// Files of several parts, of which each slice but the last ends in the middle, too.
const LARGE: u64 = 7_700;

fn in_files_of(rows: u64) -> Value {
    let mut request = plain();
    request["options"]["split"] = json!({"max_rows": rows});
    request
}

/// Starts an export and kills its worker somewhere behind the second slice and before the fourth. Returns its
/// id.
async fn killed(slow: &Slow, request: &Value) -> Result<String> {
    let first = slow.slow_worker(&[]).await?;
    slow.clickhouse.throttle(BYTES_PER_SECOND);
    let id = slow.api.accepted(request).await?;
    let behind = "SELECT EXISTS (SELECT FROM export_checkpoints
                                 WHERE job_id = $1::uuid AND slices >= 2)";
    until(&slow.world, &id, behind).await?;
    first.kill().await?;
    slow.clickhouse.heal().await?;
    Ok(id)
}

/// Checks that the files of an export are those of another one that nothing interrupted, and that the bucket
/// has nothing else. Deletes both.
async fn check(slow: &Slow, job: &Job, request: &Value) -> Result<Vec<Download>> {
    let interrupted = slow.api.download_all(job).await?;
    let again = slow
        .api
        .completed(&slow.api.accepted(request).await?)
        .await?;
    let whole = slow.api.download_all(&again).await?;
    assert_eq!(interrupted.len(), whole.len());
    for (number, (one, other)) in interrupted.iter().zip(&whole).enumerate() {
        assert!(
            one.bytes == other.bytes,
            "{request}: other bytes in {number}"
        );
    }
    slow.bucket.settled(2 * whole.len()).await?;
    slow.world.check_invariants().await?;
    for done in [job, &again] {
        slow.api
            .delete(done["job_id"].as_str().unwrap_or_default())
            .await?;
    }
    slow.bucket.settled(0).await?;
    // A worker that is killed now may not have noted yet what it has removed.
    slow.world.check_invariants().await?;
    Ok(interrupted)
}

#[tokio::test]
async fn the_files_that_a_killed_worker_began_are_the_same_as_any_others() -> Result<()> {
    let slow = Slow::new().await?;
    for (request, most) in [
        (in_files_of(SMALL), SMALL),
        (in_files_of(LARGE), LARGE),
        (
            json!({"format": "json", "options": {"split": {"max_rows": SMALL}}}),
            SMALL,
        ),
        (
            json!({"format": "json", "compression": "zstd", "options": {"split": {"max_rows": LARGE}}}),
            LARGE,
        ),
        (
            json!({"format": "parquet", "options": {"split": {"max_rows": SMALL}}}),
            SMALL,
        ),
    ] {
        let id = killed(&slow, &request).await?;
        let second = slow.worker(&[]).await?;
        let job = slow.api.completed(&id).await?;
        let events = events(&slow.world, &id).await?;
        assert_eq!(events, ["requested", "started", "resumed", "completed"]);
        let files = check(&slow, &job, &request).await?;
        let rows: Vec<_> = files
            .into_iter()
            .map(|file| read(&request, file.bytes).map(|rows| rows.len() as u64))
            .collect::<Result<_>>()?;
        let (last, full) = rows.split_last().expect("there is a file");
        assert!(full.iter().all(|rows| *rows == most), "{rows:?}");
        assert_eq!(full.len() as u64 * most + last, ROWS);
        second.kill().await?;
    }
    Ok(())
}

#[tokio::test]
async fn files_of_so_many_bytes_end_where_they_would_have_anyway() -> Result<()> {
    let slow = Slow::new().await?;
    for format in ["csv", "parquet"] {
        let mut request = json!({"format": format});
        request["options"]["split"] = json!({"max_bytes": 3_000_000});
        let id = killed(&slow, &request).await?;
        let second = slow.worker(&[]).await?;
        let job = slow.api.completed(&id).await?;
        let files = check(&slow, &job, &request).await?;
        assert!(files.iter().all(|file| file.bytes.len() <= 3_000_000));
        second.kill().await?;
    }
    Ok(())
}

#[tokio::test]
async fn files_that_only_postgres_does_not_know_of_are_not_read_again() -> Result<()> {
    let slow = Slow::new().await?;
    let lock = TableLock::take(&slow.world, "export_notifications").await?;
    let first = slow.worker(&[]).await?;
    let id = slow.api.accepted(&in_files_of(LARGE)).await?;
    lock.waited_for(&slow.world).await?;
    let sealed = "SELECT status = 'PROCESSING' AND files = 3 FROM export_jobs
                  WHERE job_id = $1::uuid";
    until(&slow.world, &id, sealed).await?;
    let stored = slow.bucket.objects()?;
    assert_eq!(stored.len(), 3, "{stored:?}");
    assert_eq!(slow.bucket.uploads()?, [""; 0]);
    first.kill().await?;
    lock.release().await?;

    let nowhere = [("EXPORT__CLICKHOUSE__URL", "http://127.0.0.1:1")];
    let _second = slow.worker(&nowhere).await?;
    let job = slow.api.completed(&id).await?;
    slow.api.download_all(&job).await?;
    assert_eq!(slow.bucket.objects()?, stored);
    slow.world.check_invariants().await
}

#[tokio::test]
async fn a_cancelled_export_leaves_no_file() -> Result<()> {
    let slow = Slow::new().await?;
    let _worker = slow.slow_worker(&[]).await?;
    slow.clickhouse.throttle(BYTES_PER_SECOND);
    let id = slow.api.accepted(&in_files_of(LARGE)).await?;
    let in_the_second = "SELECT EXISTS (SELECT FROM export_files WHERE job_id = $1::uuid)";
    until(&slow.world, &id, in_the_second).await?;
    assert_eq!(slow.api.delete(&id).await?["status"], "CANCELLED");
    slow.bucket.settled(0).await?;
    slow.world.check_invariants().await?;
    let left = "SELECT count(*) FROM export_files WHERE job_id = $1::uuid";
    assert_eq!(ask::<i64>(&slow.world, &id, left).await?, 0);
    Ok(())
}
