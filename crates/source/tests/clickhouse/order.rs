//! Rows come in the order of time, and in the same blocks, whatever it takes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::UInt64Type;
use serde_json::json;
use source::{Block, BlockLimits, Blocks, ClickHouse, Query, ReadLimits, Slice};
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::{Database, blocks};

/// Datasets, each with its table, its time, and what orders rows of the same time.
const DATASETS: [(&str, &str, &str, &str); 4] = [
    ("numbers", "numbers", "at", r#""kind", "attributes""#),
    (
        "numbers_in_one_order",
        "numbers",
        "at",
        r#""kind", "attributes", "number""#,
    ),
    (
        "unordered",
        "unordered",
        "at",
        r#""kind", "attributes", "number""#,
    ),
    (
        "numbers_by_expression",
        "numbers",
        "addNanoseconds(at, 0)",
        r#""kind", "attributes", "number""#,
    ),
];

fn preset() -> String {
    let datasets = DATASETS.map(|(name, table, time, order_by)| {
        format!(
            r#"
            [{name}]
            table = "{table}"
            time = "{time}"
            tenant = "org"
            order_by = [{order_by}]
            columns = [
                {{ name = "number", type = "uint64" }},
                {{ name = "text", type = "string" }},
                {{ name = "at", type = "timestamp" }},
                {{ name = "kind", type = "string" }},
                {{ name = "attributes", type = "map<string, string>" }},
            ]"#
        )
    });
    datasets.concat()
}

const ROWS: u64 = 30_000;

/// Rows that are stored in another order, many of them of the same time: a fifth of one nanosecond,
/// others ten by ten. Only the number tells some of them apart.
async fn numbers() -> Database {
    let ddl = "CREATE TABLE numbers (at DateTime64(9), org String, number UInt64, text String, \
               kind LowCardinality(String), attributes Map(LowCardinality(String), String)) \
               ENGINE = MergeTree ORDER BY (kind, toDateTime(at)) SETTINGS index_granularity = 100;\n\
               CREATE TABLE unordered AS numbers ENGINE = MergeTree PARTITION BY toDate(at) ORDER BY number;\n";
    let database = Database::create(&preset(), ddl).await;
    let insert = format!(
        "INSERT INTO numbers SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') \
         + if(number % 5 = 0, 1800, intDiv(cityHash64(number) % {ROWS}, 10)), '{}', number, \
         hex(sipHash128(number)), concat('kind ', toString(number % 3)), \
         map('k', toString(number % 2)) FROM numbers({ROWS});\n\
         INSERT INTO unordered SELECT * FROM numbers;\n",
        database.organization
    );
    database.run(&insert).await;
    database
}

const BLOCK: BlockLimits = BlockLimits {
    rows: 7_001,
    bytes: 400_000,
};

fn column(blocks: &[RecordBatch]) -> Vec<u64> {
    let rows = concat_batches(&blocks[0].schema(), blocks).unwrap();
    rows.column(0)
        .as_primitive::<UInt64Type>()
        .values()
        .to_vec()
}

#[tokio::test]
async fn the_order_is_that_of_clickhouse() {
    let database = numbers().await;
    let expected: Vec<u64> = database
        .client
        .query_raw("SELECT number FROM numbers ORDER BY at, kind, attributes, number")
        .fetch_all()
        .await
        .unwrap();
    assert_eq!(expected.len() as u64, ROWS);
    for (dataset, rows, sort_bytes) in [
        ("numbers", ROWS, 64 << 20),
        // Range after range, also where the first one turns out too large, and one time has too much.
        ("numbers_in_one_order", ROWS, 1_000_000),
        ("numbers_in_one_order", 1, 1_000_000),
        ("numbers_in_one_order", ROWS, 500_000),
        // Each range would look at all rows.
        ("unordered", ROWS, 1_000_000),
        ("unordered", 1, 1_000_000),
        // The time is no column.
        ("numbers_by_expression", ROWS, 64 << 20),
    ] {
        let query = database.query(dataset, &json!({"columns": ["number"]}));
        let limits = ReadLimits {
            block: BLOCK,
            sort_bytes,
        };
        let rows = blocks(&database.source(), &query, whole(&query, rows), limits).await;
        assert_eq!(column(&rows.unwrap()), expected, "{dataset} {sort_bytes}");
    }
}

fn whole(query: &Query, rows: u64) -> Slice {
    Slice {
        range: query.range(),
        rows,
    }
}

#[tokio::test]
async fn the_same_rows_make_the_same_blocks() {
    let database = numbers().await;
    for order in ["time", "storage"] {
        let options = json!({"columns": ["number", "text"], "options": {"order": order}});
        let query = database.query("numbers", &options);
        let mut all = Vec::new();
        // The least room is for some of the rows.
        for (max_block_rows, max_threads, sort_bytes) in [
            (500, 1, 64 << 20),
            (8_192, 2, 1_200_000),
            (65_536, 0, 1_000_000),
        ] {
            let mut config = database.config.clone();
            config.max_block_rows = max_block_rows;
            config.max_threads = if order == "time" { max_threads } else { 1 };
            let source = ClickHouse::new(&config).unwrap();
            let limits = ReadLimits {
                block: BLOCK,
                sort_bytes,
            };
            all.push(
                blocks(&source, &query, whole(&query, ROWS), limits)
                    .await
                    .unwrap(),
            );
        }
        assert!(all[0].len() > 4);
        assert!(all.iter().all(|blocks| *blocks == all[0]), "{order}");
    }
}

/// Reads the numbers by time, where few of them fit into memory at a time.
fn with_little_room(database: &Database, dataset: &str) -> Blocks {
    let query = database.query(dataset, &json!({"columns": ["number"]}));
    let limits = ReadLimits {
        block: BlockLimits { rows: 500, ..BLOCK },
        sort_bytes: 1_000_000,
    };
    let reader = database.source().reader(&query, limits);
    reader.read(whole(&query, ROWS), &Uuid::new_v4().to_string())
}

#[tokio::test]
async fn no_third_range_comes_before_the_first_is_gone() {
    let database = numbers().await;
    let mut blocks = with_little_room(&database, "numbers_in_one_order");
    let mut held = Vec::new();
    while let Ok(block) = timeout(Duration::from_secs(1), blocks.next()).await {
        held.push(block.unwrap().expect("not all rows have room"));
    }
    let ranges = |blocks: &[Block]| {
        let ranges = blocks.iter().map(|block| Arc::as_ptr(&block.batches));
        ranges.collect::<HashSet<_>>().len()
    };
    assert!(ranges(&held) <= 2, "{} ranges", ranges(&held));
    let mut rows: usize = held.drain(..).map(|block| block.rows()).sum();
    while let Some(block) = blocks.next().await.unwrap() {
        rows += block.rows();
    }
    assert_eq!(rows as u64, ROWS);
}

/// The rows are in the first hour of a day, which the index tells of the whole part only.
#[tokio::test]
async fn clickhouse_sorts_what_it_would_look_through_for_each_range() {
    let database = numbers().await;
    let mut blocks = with_little_room(&database, "unordered");
    // Ranges that are sorted here would wait for the first to be gone.
    let mut held = Vec::new();
    let read = async {
        while let Some(block) = blocks.next().await.unwrap() {
            held.push(block);
        }
    };
    timeout(Duration::from_secs(20), read).await.unwrap();
    let rows: usize = held.iter().map(Block::rows).sum();
    assert_eq!(rows as u64, ROWS);
}

#[tokio::test]
async fn what_cannot_be_sorted_here_is_sorted_by_clickhouse() {
    let database = numbers().await;
    let query = database.query("numbers", &json!({"columns": ["number", "at", "kind"]}));
    let sorted = async |sort_bytes| {
        let limits = ReadLimits {
            block: BLOCK,
            sort_bytes,
        };
        blocks(&database.source(), &query, whole(&query, ROWS), limits)
            .await
            .unwrap()
    };
    let (here, there) = (sorted(64 << 20).await, sorted(100_000).await);
    let rows =
        |blocks: &[RecordBatch]| blocks.iter().map(RecordBatch::num_rows).collect::<Vec<_>>();
    assert_eq!(rows(&here), rows(&there));
    let joined = |blocks: &[RecordBatch]| concat_batches(&query.schema(), blocks).unwrap();
    let (here, there) = (joined(&here), joined(&there));
    // Rows that the dataset's order does not tell apart may stand in another order.
    assert_eq!(
        here.project(&[1, 2]).unwrap(),
        there.project(&[1, 2]).unwrap()
    );
}
