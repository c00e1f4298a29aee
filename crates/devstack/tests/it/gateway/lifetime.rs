//! A gateway of one's own: its memory, its death and its return.

use std::fs;

use anyhow::{Context as _, Result};
use devstack::ClickHouse;

use super::Gateway;

#[tokio::test]
async fn memory_does_not_grow_with_the_result() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let clickhouse = ClickHouse::start(dir.path()).await?;
    let gateway = Gateway::of(&clickhouse)?;
    let pid = clickhouse.pid().context("it does not run")?;
    let peak_after = async |rows: u32| {
        let sql = format!("SELECT number, repeat('x', 1000) FROM numbers({rows}) FORMAT Native");
        let mut response = gateway.run(&sql, &[]).await?;
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len();
        }
        assert!(bytes > rows as usize * 1000, "{bytes} bytes came");
        peak_kib(pid)
    };
    let small = peak_after(200_000).await?;
    let large = peak_after(1_000_000).await?;
    assert!(
        large < small + small / 4,
        "peak {small} KiB for 200 MB, {large} KiB for 1 GB"
    );
    clickhouse.stop().await
}

fn peak_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.context("no VmHWM")?.trim().trim_end_matches(" kB");
    Ok(peak.parse()?)
}

#[tokio::test]
async fn a_killed_engine_breaks_streams_and_comes_back_with_its_data() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let clickhouse = ClickHouse::start(dir.path()).await?;
    let gateway = Gateway::of(&clickhouse)?;
    gateway
        .text(
            "CREATE TABLE kept (a Int8) ENGINE = MergeTree ORDER BY a",
            &[],
        )
        .await?;
    gateway.text("INSERT INTO kept VALUES (1)", &[]).await?;

    let mut stream = gateway
        .run("SELECT number FROM numbers(1000000000000)", &[])
        .await?;
    stream.chunk().await?.context("an empty result")?;
    clickhouse.kill().await?;
    let end = loop {
        match stream.chunk().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_err(), "the body had an end");
    assert!(
        gateway.run("SELECT 1", &[]).await.is_err(),
        "something answers"
    );

    clickhouse.restart().await?;
    assert_eq!(gateway.text("SELECT count() FROM kept", &[]).await?, "1\n");
    clickhouse.stop().await?;
    let left: Vec<_> = fs::read_dir(dir.path())?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    assert_eq!(left, ["clickhouse.log"]);
    Ok(())
}
