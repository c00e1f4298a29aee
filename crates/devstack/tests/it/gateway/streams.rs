//! Large results: early first byte, honest end.

use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use flate2::read::GzDecoder;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Gateway;
use crate::support::eventually;

const ENDLESS: &str = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 1";
const END_OF_ARROW_STREAM: &[u8] = b"\xff\xff\xff\xff\0\0\0\0";

#[tokio::test]
async fn the_first_byte_comes_long_before_the_last() -> Result<()> {
    let started = Instant::now();
    let sql = "SELECT number, sleepEachRow(0.05), repeat('x', 300000) FROM numbers(60)
               SETTINGS max_block_size = 1, max_threads = 1 FORMAT Native";
    let mut response = Gateway::shared()?.run(sql, &[]).await?;
    let first = response
        .chunk()
        .await?
        .map(|chunk| (chunk.len(), started.elapsed()));
    let (mut bytes, first) = first.unwrap();
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len();
    }
    assert!(bytes > 60 * 300_000, "{bytes} bytes came");
    let last = started.elapsed();
    assert!(last > Duration::from_secs(3), "the query took {last:?}");
    assert!(
        first < last / 3,
        "the first byte came after {first:?}, the last after {last:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_error_in_the_middle_leaves_the_body_without_an_end() -> Result<()> {
    let sql = "SELECT number, throwIf(number = 5000000) FROM numbers(10000000) FORMAT ArrowStream";
    let mut response = Gateway::shared()?.run(sql, &[]).await?;
    assert!(response.status().is_success());
    let tag = response.headers()["X-ClickHouse-Exception-Tag"]
        .to_str()?
        .to_owned();
    let mut body = Vec::new();
    let end = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            end => break end,
        }
    };
    assert!(end.is_err(), "the body had an end");
    let marker = format!("\r\n__exception__\r\n{tag}\r\nCode: 395. DB::Exception: ");
    let at = body
        .windows(marker.len())
        .position(|window| window == marker.as_bytes())
        .unwrap();
    assert!(body.ends_with(format!(" {tag}\r\n__exception__\r\n").as_bytes()));
    assert!(
        !body[..at].ends_with(END_OF_ARROW_STREAM),
        "the document looks whole"
    );
    Ok(())
}

#[tokio::test]
async fn answers_are_gzip_for_who_asks() -> Result<()> {
    let gateway = Gateway::shared()?;
    let packed = async |sql: &str, level: &str| {
        let parameters = [
            ("enable_http_compression", "1"),
            ("http_zlib_compression_level", level),
        ];
        let mut response = gateway.run(sql, &parameters).await?;
        assert_eq!(response.headers()["Content-Encoding"], "gzip");
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
        }
        anyhow::Ok(body)
    };
    for rows in [3, 3_000_000] {
        let sql = format!("SELECT number FROM numbers({rows}) FORMAT Native");
        let plain = gateway.run(&sql, &[]).await?.bytes().await?;
        for level in ["0", "1"] {
            let packed = packed(&sql, level).await?;
            let mut unpacked = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut unpacked)?;
            assert!(unpacked == plain, "{rows} rows, level {level}");
        }
    }
    let parameters = [("enable_http_compression", "0")];
    let plain = gateway.run("SELECT 1", &parameters).await?;
    assert!(!plain.headers().contains_key("Content-Encoding"));
    let parameters = [("enable_http_compression", "1")];
    let nothing = "SELECT number FROM numbers(0) FORMAT Native";
    let nothing = gateway.run(nothing, &parameters).await?;
    assert!(!nothing.headers().contains_key("Content-Encoding"));
    assert!(
        nothing.bytes().await?.is_empty(),
        "nothing is packed into nothing"
    );
    let sql = "SELECT number, throwIf(number = 5000000) FROM numbers(10000000) FORMAT Native";
    let packed = packed(sql, "0").await?;
    let mut unpacked = Vec::new();
    let end = GzDecoder::new(&packed[..]).read_to_end(&mut unpacked);
    assert!(end.is_err(), "the gzip had an end");
    assert!(unpacked.ends_with(b"\r\n__exception__\r\n"));
    Ok(())
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_query() -> Result<()> {
    let gateway = Gateway::shared()?;
    let results = "SELECT number FROM numbers(1000000000000)";
    let reads = [
        ("readonly", "2"),
        ("cancel_http_readonly_queries_on_client_close", "1"),
    ];
    for (sql, settings) in [(ENDLESS, &reads[..]), (results, &[])] {
        let query_id = Uuid::new_v4().to_string();
        let parameters = [settings, &[("query_id", &query_id)]].concat();
        let request = gateway.run(sql, &parameters);
        tokio::select! {
            response = request => {
                // Headers are there; nobody reads the body.
                let response = response?;
                eventually("it runs", async || gateway.runs(&query_id).await).await?;
                drop(response);
            }
            running = eventually("it runs", async || Ok(sql == ENDLESS && gateway.runs(&query_id).await?)) => running?,
        }
        eventually("it has ended", async || {
            Ok(!gateway.runs(&query_id).await?)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_query_can_be_killed_by_its_id() -> Result<()> {
    let gateway = Gateway::shared()?;
    let query_id = Uuid::new_v4().to_string();
    let parameters = [("query_id", query_id.as_str())];
    let kill = async {
        eventually("it runs", async || gateway.runs(&query_id).await).await?;
        let twin = gateway.run("SELECT 1", &parameters).await?;
        assert_eq!(twin.headers()["X-ClickHouse-Exception-Code"], "216");
        gateway
            .text(&format!("KILL QUERY WHERE query_id = '{query_id}'"), &[])
            .await
    };
    let (response, answer) = tokio::join!(gateway.run(ENDLESS, &parameters), kill);
    answer?;
    assert_eq!(response?.headers()["X-ClickHouse-Exception-Code"], "394");
    Ok(())
}

#[tokio::test]
async fn streams_run_side_by_side() -> Result<()> {
    let mut streams = JoinSet::new();
    for format in ["Native", "CSV", "JSONEachRow"] {
        streams.spawn(async move {
            let sql =
                format!("SELECT number, repeat('x', 100) FROM numbers(500000) FORMAT {format}");
            let mut response = Gateway::shared()?
                .run(&sql, &[("max_block_size", "8192")])
                .await?;
            let mut bytes = 0;
            while let Some(chunk) = response.chunk().await? {
                bytes += chunk.len();
            }
            anyhow::Ok((format, bytes))
        });
    }
    while let Some(result) = streams.join_next().await {
        let (format, bytes) = result??;
        assert!(bytes > 50_000_000, "{bytes} bytes of {format} came");
    }
    Ok(())
}
