//! What ClickHouse says is wrong in itself: an exception at the beginning, in the middle, in pieces,
//! or an end that is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use e2e::{World, eventually};
use reqwest::Url;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::pieces::{self, Pieces};
use crate::exports::{ask, check_file, plain};

const PRESET: &str = r#"[logs]
table = "otel_logs"
time = "Timestamp"
tenant = "ResourceAttributes['telemetryflow.organization.id']"
order_by = []
columns = [
    { name = "timestamp", type = "timestamp", sql = "Timestamp" },
    { name = "body", type = "string", sql = "Body" },
    { name = "broken", type = "string", sql = "if(throwIf(Body = 'broken') = 0, Body, '')" },
]

[traces]
table = "otel_traces"
time = "Timestamp"
tenant = "ResourceAttributes['telemetryflow.organization.id']"
order_by = []
columns = [
    { name = "timestamp", type = "timestamp", sql = "Timestamp" },
    { name = "rejected", type = "string", sql = "toString(toUInt32(concat('x', SpanName)))" },
]
"#;

/// Writes the preset, and returns its path.
fn preset(world: &World) -> Result<String> {
    let path = world.dir.path().join("broken.toml");
    std::fs::write(&path, PRESET)?;
    Ok(path.to_str().context("a path")?.to_owned())
}

#[tokio::test]
async fn an_exception_before_the_first_byte_is_final() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 10).await?;
    let preset = preset(&world)?;
    let settings = [("EXPORT__DATASETS__PRESET", &*preset)];
    let api = world.api(&settings).await?;
    let _worker = world.worker(&settings).await?;
    let id = api.accepted(&json!({"data_type": "traces"})).await?;
    let job = api.failed(&id).await?;
    assert_eq!(job["error"]["code"], "source_rejected");
    let sql = "SELECT attempts FROM export_jobs WHERE job_id = $1::uuid";
    assert_eq!(ask::<i32>(&world, &id, sql).await?, 1);
    world.check_invariants().await
}

#[tokio::test]
async fn an_exception_in_the_middle_is_found_in_whatever_pieces_it_comes() -> Result<()> {
    let mut world = World::new().await?;
    let sql = "INSERT INTO otel_logs (Timestamp, TimestampTime, Body, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number / 10 AS t, t, \
         if(number = 50000, 'broken', concat(hex(sipHash128(number)), hex(sipHash128(-number)))), \
         map('telemetryflow.organization.id', {organization:String}) FROM numbers(60000)";
    let organization = world.ours.organization.to_string();
    let parameters = [("organization", &*organization)];
    world.clickhouse.run(sql, &parameters).await?;
    let preset = preset(&world)?;
    let clickhouse_url = world.env.clickhouse_url.clone();
    // In the order of time nothing is written before all rows of a range are there.
    for (size, order) in [(65_536, "storage"), (61, "storage"), (65_536, "time")] {
        world.env.clickhouse_url =
            pieces::proxy_before(&clickhouse_url, Pieces::ANY, Pieces::of(size)).await?;
        let settings = [
            ("EXPORT__DATASETS__PRESET", &*preset),
            ("EXPORT__RETRY__MAX_ATTEMPTS", "2"),
            ("EXPORT__CLICKHOUSE__MAX_BLOCK_ROWS", "1000"),
            ("EXPORT__PIPELINE__BLOCK_ROWS", "1000"),
            ("EXPORT__PIPELINE__PROGRESS_INTERVAL_MS", "1"),
        ];
        let api = world.api(&settings).await?;
        let worker = world.worker(&settings).await?;
        let id = api.accepted(&json!({"options": {"order": order}})).await?;
        let job = api.failed(&id).await?;
        assert_eq!(job["file"], json!(null));
        assert_eq!(
            job["rows_exported"].as_u64() > Some(0),
            order == "storage",
            "in the middle: {job}"
        );
        let sql = "SELECT last_error FROM export_jobs WHERE job_id = $1::uuid";
        let cause: String = ask(&world, &id, sql).await?;
        assert!(cause.contains("exception 395"), "{size}: {cause}");
        world.check_invariants().await?;
        worker.kill().await?;
    }
    Ok(())
}

/// Cuts nothing.
const WHOLE: usize = usize::MAX;

/// A server before ClickHouse that ends one answer to a worker behind a block of rows, as properly as
/// HTTP can: what no real ClickHouse does, but one behind a careless proxy.
struct Shortener {
    url: String,
    /// How many blocks come through, once.
    blocks: Arc<AtomicUsize>,
}

impl Shortener {
    async fn before(target: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let blocks = Arc::new(AtomicUsize::new(WHOLE));
        let (target, left) = (Url::parse(target)?, Arc::clone(&blocks));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, target.clone(), Arc::clone(&left)));
            }
        });
        Ok(Self { url, blocks })
    }
}

async fn answer(mut client: TcpStream, target: Url, left: Arc<AtomicUsize>) -> Result<()> {
    let mut request = Vec::new();
    let head = loop {
        client.read_buf(&mut request).await?;
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break String::from_utf8(request.drain(..end + 4).collect())?;
        }
    };
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.to_owned()))
    };
    let length: usize = header("content-length").context("a length")?.parse()?;
    while request.len() < length {
        client.read_buf(&mut request).await?;
    }
    let path = head.split(' ').nth(1).context("a path")?;
    let mut forwarded = reqwest::Client::new()
        .post(target.join(path)?)
        .body(request);
    for name in [
        "content-type",
        "accept-encoding",
        "authorization",
        "x-clickhouse-user",
        "x-clickhouse-key",
    ] {
        if let Some(value) = header(name) {
            forwarded = forwarded.header(name, value);
        }
    }
    let answered = forwarded.send().await?;
    let status = answered.status();
    let encoding = answered.headers().get("content-encoding");
    let encoding = encoding.map_or("", |_| "Content-Encoding: gzip\r\n");
    let mut body = answered.bytes().await?.to_vec();
    if path.contains("query_id=export-") {
        let blocks = left.swap(WHOLE, Ordering::SeqCst);
        body.truncate(ends(&body).get(blocks).copied().unwrap_or(body.len()));
    }
    let head = format!(
        "HTTP/1.1 {status}\r\n{encoding}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    Ok(client.write_all(&body).await?)
}

/// Returns where the blocks of an answer end, the first place being where the first one begins.
///
/// In gzip that packs nothing they are as they are in Native: the number of columns in a byte, that of
/// rows in two, and the name of the first column. The last block ends before the end of the gzip,
/// which is an empty part, the checksum and the length.
fn ends(gzip: &[u8]) -> Vec<usize> {
    const FIRST_COLUMN: &[u8] = b"\x09timestamp";
    const END: usize = 5 + 8;
    let names = gzip.windows(FIRST_COLUMN.len()).enumerate();
    names
        .filter(|(_, bytes)| *bytes == FIRST_COLUMN)
        .map(|(at, _)| at - 3)
        .chain([gzip.len() - END])
        .collect()
}

#[tokio::test]
async fn an_answer_that_ends_properly_between_two_blocks_is_not_the_whole() -> Result<()> {
    let mut world = World::new().await?;
    // Stored in three granules, which come as a block each.
    world.seed("otel", &world.ours, 20_000).await?;
    let shortener = Shortener::before(&world.env.clickhouse_url).await?;
    world.env.clickhouse_url.clone_from(&shortener.url);
    let api = world.api(&[]).await?;
    let one_part = [("EXPORT__S3__PART_SIZE_BYTES", "67108864")];
    let _worker = world.worker(&one_part).await?;
    let mut cuts = 0;
    loop {
        shortener.blocks.store(cuts, Ordering::SeqCst);
        let id = api.accepted(&plain()).await?;
        let job = api.completed(&id).await?;
        check_file(&world, &api, &job).await?;
        eventually("that the answer was asked for", async || {
            Ok((shortener.blocks.load(Ordering::SeqCst) == WHOLE).then_some(()))
        })
        .await?;
        let sql = "SELECT attempts FROM export_jobs WHERE job_id = $1::uuid";
        if ask::<i32>(&world, &id, sql).await? == 1 {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 4, "before, between and behind three blocks: {cuts}");
    world.check_invariants().await
}
