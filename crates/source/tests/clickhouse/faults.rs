//! What breaks is an error, never a short answer.

use std::io::Write as _;
use std::time::Duration;

use arrow::array::AsArray;
use devstack::{Env, Proxy};
use domain::{Classify, ErrorClass, ErrorCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use source::{Query, Slice, SourceError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::support::{Database, LIMITS, read};

const PRESET: &str = r#"
[numbers]
table = "numbers"
time = "at"
tenant = "org"
order_by = ["number"]
columns = [
    { name = "number", type = "uint64" },
    { name = "text", type = "string" },
    { name = "broken", type = "uint8", sql = "throwIf(number = 40000, 'stop')" },
    { name = "missing", type = "uint8" },
    { name = "not_null", type = "string", sql = "maybe" },
    { name = "no_text", type = "string", sql = "number" },
]
"#;

const ROWS: u64 = 50_000;

async fn numbers() -> Database {
    let ddl = "CREATE TABLE numbers (at DateTime64(9), org String, number UInt64, text String, \
               maybe Nullable(String)) ENGINE = MergeTree ORDER BY number;\n";
    let database = Database::create(PRESET, ddl).await;
    let insert = format!(
        "INSERT INTO numbers SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number, '{}', \
         number, hex(sipHash128(number)), NULL FROM numbers({ROWS});\n",
        database.organization
    );
    database.run(&insert).await;
    database
}

fn query(database: &Database, columns: &[&str]) -> Query {
    database.query("numbers", &json!({"columns": columns}))
}

async fn error(database: &Database, columns: &[&str]) -> SourceError {
    let query = query(database, columns);
    read(&database.source(), &query, query.range())
        .await
        .unwrap_err()
}

/// A source that reaches ClickHouse through a proxy.
async fn proxied(database: &mut Database) -> Proxy {
    let target = Url::parse(&Env::shared().clickhouse_url).unwrap();
    let target = target.socket_addrs(|| None).unwrap()[0];
    let proxy = Proxy::start(target).await.unwrap();
    database.config.url = proxy.url_of("http").parse().unwrap();
    proxy
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_is_an_error() {
    let mut database = numbers().await;
    let proxy = proxied(&mut database).await;
    let query = query(&database, &["number", "text"]);
    let slice = query.range();
    let (start, end) = (
        slice.start(),
        slice.start() + chrono::TimeDelta::seconds(100),
    );
    let slice = domain::TimeRange::new(start, end).unwrap();
    let source = database.source();
    assert_eq!(read(&source, &query, slice).await.unwrap().num_rows(), 100);
    let mut cut = 0;
    loop {
        proxy.cut_after(cut);
        match read(&source, &query, slice).await {
            Err(error) => assert_eq!(
                error.class(),
                ErrorClass::TRANSIENT,
                "cut at {cut}: {error}"
            ),
            Ok(rows) => {
                assert_eq!(rows.num_rows(), 100, "cut at {cut}");
                break;
            }
        }
        cut += 97;
    }
    assert!(cut > 3_000, "the answer has {cut} bytes");
}

#[tokio::test]
async fn a_stall_is_an_error() {
    let mut database = numbers().await;
    let proxy = proxied(&mut database).await;
    database.config.idle_timeout_ms = 300;
    database.config.max_execution_time_s = 1;
    let query = query(&database, &["number", "text"]);
    for stall in [0, 500, 600_000] {
        proxy.stall_after(stall);
        let error = read(&database.source(), &query, query.range())
            .await
            .unwrap_err();
        assert!(
            matches!(error, SourceError::Stalled(_)),
            "stalled at {stall}: {error:?}"
        );
        assert_eq!(error.code(), ErrorCode::SourceUnavailable);
    }
}

#[tokio::test]
async fn nobody_at_home_is_an_error_that_passes() {
    let mut database = numbers().await;
    let proxy = proxied(&mut database).await;
    proxy.refuse().await;
    let error = error(&database, &["number"]).await;
    assert!(matches!(error, SourceError::Client(_)), "{error:?}");
    assert_eq!(
        (error.class(), error.code()),
        (ErrorClass::TRANSIENT, ErrorCode::SourceUnavailable)
    );
    assert!(database.source().ping().await.is_err());
    proxy.heal().await.unwrap();
    database.source().ping().await.unwrap();
}

#[tokio::test]
async fn an_exception_in_the_middle_of_an_answer_is_an_error() {
    let mut database = numbers().await;
    database.config.max_block_rows = 1_000;
    let error = error(&database, &["number", "broken"]).await;
    let SourceError::Engine(exception) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(exception.name, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO");
    assert!(
        !error.to_string().contains("stop"),
        "no text of the exception: {error}"
    );
}

#[tokio::test]
async fn a_wrong_query_is_permanent() {
    let mut database = numbers().await;
    // A look would have found what the table lacks.
    database.catalogue = database.preset.assumed().into();
    for (columns, says) in [
        (["missing"], "exception 47 UNKNOWN_IDENTIFIER"),
        (["not_null"], "not_null has NULLs"),
        (["no_text"], "no_text has UInt64 where a text should be"),
    ] {
        let error = error(&database, &columns).await;
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(
            (error.class(), error.code()),
            (ErrorClass::Permanent, ErrorCode::SourceRejected)
        );
    }
}

/// A rotation of the password must not fail the jobs that it meets.
#[tokio::test]
async fn a_refused_password_is_an_error_that_passes() {
    let mut database = numbers().await;
    database.config.password = "wrong".to_owned().into();
    let error = error(&database, &["number"]).await;
    assert_eq!(
        (error.class(), error.code()),
        (
            ErrorClass::Transient { retry_after: None },
            ErrorCode::SourceUnavailable
        )
    );
}

#[tokio::test]
async fn a_limit_says_so() {
    let mut database = numbers().await;
    database.config.max_memory_usage_bytes = 1_000_000;
    let error = error(&database, &["number", "text"]).await;
    assert_eq!(
        (error.class(), error.code()),
        (ErrorClass::TRANSIENT, ErrorCode::SourceLimit),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_that_ends_cleanly_before_its_end_is_an_error() {
    let mut database = numbers().await;
    // Blocks of 100 rows, so that there are ends of blocks to cut at.
    let rows = database
        .client
        .query_raw("SELECT number FROM numbers ORDER BY number LIMIT 1000")
        .with_setting("max_block_size", "100")
        .fetch_bytes("Native")
        .unwrap()
        .collect()
        .await
        .unwrap();
    let block = rows.len() / 10;
    let exception = b"Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED) \
                      (version 26.9.2.1 (official build))\n";
    let query = query(&database, &["number"]);
    let whole = gzip(&rows);
    let changed = [&whole[..100], &[whole[100] ^ 1], &whole[101..]].concat();
    for (body, engine) in [
        (gzip_cut(&rows[..5 * block]), false),
        (gzip_cut(&rows), false),
        (whole[..whole.len() - 1].to_vec(), false),
        (whole[..whole.len() / 2].to_vec(), false),
        (changed, false),
        (gzip(&rows[..5 * block + 50]), false),
        (Vec::new(), false),
        (gzip(&[&rows[..5 * block], exception].concat()), true),
        (
            gzip_cut(&[&rows[..5 * block + 50], exception].concat()),
            true,
        ),
        (gzip(&[&rows[..], exception].concat()), true),
        ([&whole[..], exception].concat(), false),
    ] {
        database.config.url = answer_with(body).await;
        let error = read(&database.source(), &query, query.range())
            .await
            .unwrap_err();
        assert_eq!(
            matches!(&error, SourceError::Engine(e) if e.code == 241),
            engine,
            "{error:?}"
        );
        assert_eq!(error.class(), ErrorClass::TRANSIENT);
    }
    database.config.url = answer_with(whole).await;
    let rows = read(&database.source(), &query, query.range())
        .await
        .unwrap();
    assert_eq!(rows.num_rows(), 1_000);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// All of the bytes, but no end.
fn gzip_cut(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}

/// Serves requests for rows: a 200 with this body in small chunks, ended as HTTP says it should be. Counts and
/// measurements are right; all other requests, such as the question for settings, are answered by ClickHouse.
async fn answer_with(body: Vec<u8>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        // A client may open a connection ahead of its request, and not use it for long.
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, body.clone()));
        }
    });
    url.parse().unwrap()
}

async fn answer(mut connection: TcpStream, body: Vec<u8>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if connection.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    if !head.contains("multipart/form-data") {
        return pass_on(connection, request).await;
    }
    while !request.ends_with(b"--\r\n") {
        connection.read_buf(&mut request).await.unwrap();
    }
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\
                       Transfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    let is_for_rows = head.contains("default_format=native");
    let body = if is_for_rows {
        body
    } else {
        gzip(b"1000\t1000\n")
    };
    for chunk in body.chunks(50) {
        answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        answer.extend_from_slice(chunk);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    connection.write_all(&answer).await.unwrap();
}

/// Lets ClickHouse answer on a connection of which something was read.
async fn pass_on(mut connection: TcpStream, read: Vec<u8>) {
    let clickhouse = Url::parse(&Env::shared().clickhouse_url).unwrap();
    let clickhouse = clickhouse.socket_addrs(|| None).unwrap()[0];
    let mut clickhouse = TcpStream::connect(clickhouse).await.unwrap();
    clickhouse.write_all(&read).await.unwrap();
    // It ends when either side hangs up.
    let _ = tokio::io::copy_bidirectional(&mut connection, &mut clickhouse).await;
}

#[tokio::test]
async fn a_row_of_20_mb_passes() {
    let database = numbers().await;
    let insert = format!(
        "INSERT INTO numbers SELECT toDateTime64('2026-01-01 00:00:01', 9, 'UTC'), '{}', 1, \
         concat(repeat(space(10000), 1000), repeat(space(10000), 1000)), NULL;\n",
        database.organization
    );
    database.run(&insert).await;
    let rows = database.rows(&query(&database, &["text"])).await;
    assert_eq!(rows.num_rows() as u64, ROWS + 1);
    let texts = rows.column(0).as_string::<i32>();
    assert_eq!(texts.iter().flatten().map(str::len).max(), Some(20_000_000));
}

#[tokio::test]
async fn dropping_the_blocks_ends_the_query() {
    let database = numbers().await;
    let query = query(&database, &["number", "text"]);
    let source = database.source();
    let query_id = uuid::Uuid::new_v4().to_string();
    let slice = Slice {
        range: query.range(),
        rows: ROWS,
    };
    for _ in 0..3 {
        // The id is free again once the query before has ended.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let mut blocks = source.reader(&query, LIMITS).read(slice, &query_id);
            match blocks.next().await {
                Ok(block) => break assert!(block.is_some()),
                Err(error) if tokio::time::Instant::now() > deadline => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
    source.kill(&query_id).await.unwrap();
}
