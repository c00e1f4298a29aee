//! Filters of any size reach ClickHouse whole, and nothing of them where proxies could log it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use devstack::Env;
use serde_json::{Value, json};
use source::{PlanOptions, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::support::Database;

const PRESET: &str = r#"
[texts]
table = "texts"
time = "at"
tenant = "org"
order_by = ["number"]
columns = [
    { name = "number", type = "uint64" },
    { name = "text", type = "string" },
    { name = "pairs", type = "map<string, string>" },
]
"#;

/// What a value begins with that no log may have.
const CANARY: &str = "canary";

/// What comes again and again in long texts: some of it must be escaped.
const PATTERN: &str = "it's\t\\ a \"test\" über\n";

/// How often it comes to be five times what a server takes in one field of a form.
const LONG: usize = 5 * 131_072 / PATTERN.len();

fn long(times: usize) -> String {
    format!("{CANARY}{}", PATTERN.repeat(times))
}

/// An empty text, two long ones and a short one, which are also the keys of a map.
async fn texts() -> Database {
    let ddl = "CREATE TABLE texts (at DateTime64(9), org String, number UInt64, text String, \
               pairs Map(String, String)) ENGINE = MergeTree ORDER BY number;\n";
    let database = Database::create(PRESET, ddl).await;
    let pattern = PATTERN.replace('\\', "\\\\").replace('\'', "\\'");
    let insert = format!(
        "INSERT INTO texts WITH concat('{CANARY}', repeat('{pattern}', {LONG})) AS long, \
         ['', long, concat(long, '!'), '{CANARY}1999'][number + 1] AS text \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number, '{}', number, text, \
         map(text, 'v') FROM numbers(4);\n",
        database.organization
    );
    database.run(&insert).await;
    database
}

/// Stands before ClickHouse and keeps what clients send.
async fn recorder() -> (Url, Arc<Mutex<Vec<u8>>>) {
    let clickhouse = Url::parse(&Env::shared().clickhouse_url).unwrap();
    let clickhouse = clickhouse.socket_addrs(|| None).unwrap()[0];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(Mutex::new(Vec::new()));
    let recording = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let recording = Arc::clone(&recording);
            tokio::spawn(async move {
                let server = TcpStream::connect(clickhouse).await.unwrap();
                let (mut from_server, mut to_server) = server.into_split();
                let (mut from_client, mut to_client) = client.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let mut piece = vec![0; 65_536];
                while let Ok(length @ 1..) = from_client.read(&mut piece).await {
                    recording.lock().unwrap().extend(&piece[..length]);
                    if to_server.write_all(&piece[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (url.parse().unwrap(), sent)
}

/// Returns the first lines of HTTP requests.
fn request_lines(sent: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(sent);
    let lines = text.lines().filter(|line| line.ends_with(" HTTP/1.1"));
    lines.map(str::to_owned).collect()
}

/// Reads the numbers of the rows, which count, estimate and plan must agree on.
async fn numbers(database: &Database, filters: &Value) -> Vec<u64> {
    let query: Query = database.query(
        "texts",
        &json!({ "columns": ["number"], "filters": filters }),
    );
    let source = database.source();
    let rows = database.rows(&query).await;
    let count = rows.num_rows() as u64;
    let limit = Duration::from_secs(30);
    let counted = source.count(&query, limit).await.unwrap().unwrap();
    assert_eq!((counted.rows, counted.is_exact), (count, true));
    let sample = source.sample(&query, limit).await.unwrap();
    assert_eq!(sample.rows, count);
    let options = PlanOptions {
        target_slice_rows: 10,
        counted_among: None,
    };
    let plan = source.plan(&query, &options).await.unwrap();
    assert_eq!(plan.rows_estimated, count);
    let numbers = rows.column(0).as_primitive::<UInt64Type>();
    numbers.values().to_vec()
}

#[tokio::test]
async fn values_of_any_size_arrive_and_are_in_no_address() {
    let mut database = texts().await;
    let (url, sent) = recorder().await;
    database.config.url = url;
    let many: Vec<_> = (0..2_000).map(|n| format!("{CANARY}{n}")).collect();
    let large: Vec<_> = (0..50)
        .map(|n| format!("{}{n}", long(200)))
        .chain([format!("{CANARY}1999")])
        .collect();
    let text = |op: &str, value: &Value| json!({ "field": "text", "op": op, "value": value });
    let both = json!([long(LONG), format!("{CANARY}1999")]);
    let key = format!("pairs.{}", long(LONG));
    for (filters, expected) in [
        (text("eq", &json!(long(LONG))), vec![1]),
        (text("ne", &json!(long(LONG))), vec![0, 2, 3]),
        (text("starts_with", &json!(long(LONG))), vec![1, 2]),
        (text("contains", &json!(&long(LONG)[7..])), vec![1, 2]),
        (text("in", &json!(many)), vec![3]),
        (text("in", &json!(large)), vec![3]),
        (text("not_in", &json!(large)), vec![0, 1, 2]),
        (text("in", &both), vec![1, 3]),
        (text("not_in", &both), vec![0, 2]),
        (json!({ "field": key, "op": "eq", "value": "v" }), vec![1]),
    ] {
        let shown: String = filters.to_string().chars().take(60).collect();
        assert_eq!(numbers(&database, &filters).await, expected, "{shown}");
    }
    let sent = sent.lock().unwrap();
    assert!(String::from_utf8_lossy(&sent).contains(CANARY));
    let lines = request_lines(&sent);
    assert!(lines.len() > 20, "{}", lines.len());
    for line in lines {
        assert!(
            !line.contains(CANARY) && !line.contains("param_p"),
            "{line}"
        );
    }
}
