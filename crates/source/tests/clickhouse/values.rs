//! Every type survives the way from a table to a record batch.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int32Array, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{Int16Type, TimestampNanosecondType};
use domain::TimeRange;
use serde_json::json;

use crate::support::{Database, read};

const PRESET: &str = r#"
[things]
table = "things"
time = "at"
tenant = "org"
order_by = ["id"]
columns = [
    { name = "at", type = "timestamp" },
    { name = "second", type = "timestamp" },
    { name = "text", type = "string?" },
    { name = "number", type = "int32?" },
    { name = "large", type = "uint64" },
    { name = "ratio", type = "float64" },
    { name = "truth", type = "bool" },
    { name = "colour", type = "enum?" },
    { name = "uid", type = "uuid" },
    { name = "v4", type = "ipv4" },
    { name = "v6", type = "ipv6" },
    { name = "day", type = "date" },
    { name = "detail", type = "string" },
    { name = "padded", type = "string", sql = "toFixedString(substring('abc', 1, id), 4)" },
    { name = "kind", type = "string", sql = "toLowCardinality(toFixedString(substring('abc', 1, id), 4))" },
    { name = "tags", type = "map<string, string>" },
    { name = "list", type = "list<int16?>" },
    { name = "nested", type = "list<struct<at: timestamp, name: string, tags: map<string, string>>>", sql = "arrayZip(nested.at, nested.name, nested.tags)" },
]
"#;

const TABLE: &str = "CREATE TABLE things (
    id UInt8, at DateTime64(9), second DateTime, org String, text Nullable(String),
    number Nullable(Int32), large UInt64, ratio Float64, truth Bool,
    colour Nullable(Enum16('red' = -1, 'it''s green' = 300)), uid UUID, v4 IPv4, v6 IPv6, day Date,
    detail JSON, tags Map(LowCardinality(String), String), list Array(Nullable(Int16)),
    nested Nested(at DateTime64(9), name LowCardinality(String), tags Map(LowCardinality(String), String))
) ENGINE = MergeTree ORDER BY at;\n";

async fn things() -> Database {
    let database = Database::create(PRESET, TABLE).await;
    let org = database.organization;
    let insert = format!(
        r#"INSERT INTO things VALUES
        (1, '2026-01-01 00:00:00.000000001', '2026-01-01 00:00:00', '{org}', NULL, NULL,
         18446744073709551615, nan, true, 'it\'s green', '61F0C404-5CB3-11E7-907B-A6006AD3DBA0',
         '192.168.0.1', '2001:db8::1', '2026-01-01', '{{"b": {{"c": [1, null]}}}}', {{}}, [], [], [], []),
        (2, '2026-01-01 00:00:00.000000001', '2106-02-07 06:28:15', '{org}', '', -2147483648,
         9007199254740993, -inf, false, NULL, '00000000-0000-0000-0000-000000000000',
         '0.0.0.0', '::ffff:1.2.3.4', '2149-06-06', '{{}}',
         mapFromArrays(arrayMap(i -> concat('k', toString(i)), range(500)), arrayMap(i -> '', range(500))),
         [1, NULL, -32768], ['1960-05-05 01:02:03.000000009', '2026-01-01 00:00:00.5'],
         ['first', unhex('C328')], [{{'a':'1','b':'2'}}, {{}}]),
        (3, '2026-01-01 23:59:59.999999999', '2026-01-01 00:00:00', '{org}',
         concat(unhex('FF00FE'), 'ü\t\n\r\0 "\\\' 日本 👩‍💻'), 1, 0, 0.1, true, 'red',
         '00000000-0000-0000-0000-000000000001', '255.255.255.255', '::', '1970-01-01', '{{"ü": "\\""}}',
         map(unhex('FF'), unhex('FE')), [], [], [], []);
"#
    );
    database.run(&insert).await;
    database
}

#[tokio::test]
async fn every_type_survives() {
    let database = things().await;
    let batch = database.rows(&database.query("things", &json!({}))).await;
    let expect = |name: &str, expected: ArrayRef| {
        assert_eq!(batch.column_by_name(name).unwrap(), &expected, "{name}");
    };
    let times = |values: Vec<i64>| TimestampNanosecondArray::from(values).with_timezone("UTC");
    let midnight = 1_767_225_600_000_000_000;
    expect(
        "at",
        Arc::new(times(vec![
            midnight + 1,
            midnight + 1,
            midnight + 86_399_999_999_999,
        ])),
    );
    expect(
        "second",
        Arc::new(times(vec![midnight, 4_294_967_295_000_000_000, midnight])),
    );
    let text = "\u{fffd}\0\u{fffd}ü\t\n\r\0 \"\\' 日本 👩‍💻";
    expect(
        "text",
        Arc::new(StringArray::from(vec![None, Some(""), Some(text)])),
    );
    expect(
        "number",
        Arc::new(Int32Array::from(vec![None, Some(i32::MIN), Some(1)])),
    );
    let large = vec![u64::MAX, 9_007_199_254_740_993, 0];
    expect("large", Arc::new(UInt64Array::from(large)));
    let ratio = vec![f64::NAN, f64::NEG_INFINITY, 0.1];
    expect("ratio", Arc::new(Float64Array::from(ratio)));
    expect(
        "truth",
        Arc::new(BooleanArray::from(vec![true, false, true])),
    );
    let colour = vec![Some("it's green"), None, Some("red")];
    expect("colour", Arc::new(StringArray::from(colour)));
    let uids = vec![
        "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
        "00000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000-000000000001",
    ];
    expect("uid", Arc::new(StringArray::from(uids)));
    let v4 = vec!["192.168.0.1", "0.0.0.0", "255.255.255.255"];
    expect("v4", Arc::new(StringArray::from(v4)));
    let v6 = vec!["2001:db8::1", "::ffff:1.2.3.4", "::"];
    expect("v6", Arc::new(StringArray::from(v6)));
    expect("day", Arc::new(Date32Array::from(vec![20_454, 65_535, 0])));
    let detail = vec![r#"{"b":{"c":[1,null]}}"#, "{}", r#"{"ü":"\""}"#];
    expect("detail", Arc::new(StringArray::from(detail)));
    // As ClickHouse casts them.
    for name in ["padded", "kind"] {
        expect(name, Arc::new(StringArray::from(vec!["a", "ab", "abc"])));
    }
}

#[tokio::test]
async fn what_is_in_columns_survives() {
    let database = things().await;
    let query = database.query("things", &json!({"columns": ["tags", "list", "nested"]}));
    let batch = database.rows(&query).await;
    let tags = batch.column(0).as_map();
    assert_eq!(tags.value_length(0), 0);
    assert_eq!(tags.value_length(1), 500);
    let (keys, values) = (
        tags.keys().as_string::<i32>(),
        tags.values().as_string::<i32>(),
    );
    assert_eq!((keys.value(499), values.value(499)), ("k499", ""));
    assert_eq!(
        (keys.value(500), values.value(500)),
        ("\u{fffd}", "\u{fffd}")
    );
    let list = batch.column(1).as_list::<i32>().value(1);
    let list: Vec<_> = list.as_primitive::<Int16Type>().iter().collect();
    assert_eq!(list, [Some(1), None, Some(i16::MIN)]);
    let nested = batch.column(2).as_list::<i32>();
    assert!(nested.value(0).is_empty());
    let nested = nested.value(1);
    let nested = nested.as_struct();
    let times = nested.column_by_name("at").unwrap();
    let times = times.as_primitive::<TimestampNanosecondType>().values();
    assert_eq!(
        times,
        &[-304_815_476_999_999_991, 1_767_225_600_500_000_000]
    );
    let names = nested.column_by_name("name").unwrap().as_string::<i32>();
    assert_eq!((names.value(0), names.value(1)), ("first", "\u{fffd}("));
    let tags = nested.column_by_name("tags").unwrap().as_map();
    assert_eq!((tags.value_length(0), tags.value_length(1)), (2, 0));
}

#[tokio::test]
async fn values_of_every_type_can_be_filtered_on() {
    let database = things().await;
    for (filter, rows) in [
        (json!({"at": "2026-01-01T00:00:00.000000001Z"}), 2),
        (
            json!({"field": "at", "op": "gt", "value": "2026-01-01T01:00:00.000000001+01:00"}),
            1,
        ),
        (json!({"large": u64::MAX}), 1),
        (json!({"large": [9_007_199_254_740_993_u64, 0]}), 2),
        (
            json!({"field": "number", "op": "lte", "value": i32::MIN}),
            1,
        ),
        (json!({"field": "number", "op": "ne", "value": 1}), 2),
        (
            json!({"field": "number", "op": "exists", "value": false}),
            1,
        ),
        (json!({"ratio": 0.1}), 1),
        (json!({"truth": true}), 2),
        (json!({"truth": [true, false]}), 3),
        (json!({"colour": "it's green"}), 1),
        (
            json!({"field": "colour", "op": "not_in", "value": ["red"]}),
            2,
        ),
        (json!({"uid": "61F0C404-5CB3-11E7-907B-A6006AD3DBA0"}), 1),
        (json!({"v4": ["192.168.0.1", "0.0.0.0"]}), 2),
        (json!({"v6": "2001:DB8:0::1"}), 1),
        (json!({"day": "2149-06-06"}), 1),
        (
            json!({"field": "day", "op": "lt", "value": "2026-01-01"}),
            1,
        ),
        (json!({"text": ""}), 1),
        (json!({"tags.k7": ""}), 1),
        (json!({"field": "tags.k7", "op": "exists"}), 1),
    ] {
        let query = database.query("things", &json!({"filters": filter, "columns": ["at"]}));
        assert_eq!(database.rows(&query).await.num_rows(), rows, "{filter}");
    }
}

#[tokio::test]
async fn the_window_is_half_open() {
    let database = things().await;
    for (start, end, rows) in [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z", 2),
        (
            "2026-01-01T00:00:00.000001Z",
            "2026-01-01T23:59:59.999999Z",
            0,
        ),
        ("2026-01-01T23:59:59.999999Z", "2026-01-02T00:00:00Z", 1),
        ("2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", 0),
    ] {
        let query = database.query("things", &json!({"start_time": start, "end_time": end}));
        assert_eq!(
            database.rows(&query).await.num_rows(),
            rows,
            "{start} {end}"
        );
        // A slice may begin and end at any nanosecond.
        let time = |text: &str| text.parse().unwrap();
        let first = (
            time("2026-01-01T00:00:00Z"),
            time("2026-01-01T00:00:00.000000001Z"),
        );
        let slice = TimeRange::new(first.0, first.1).unwrap();
        assert_eq!(
            read(&database.source(), &query, slice)
                .await
                .unwrap()
                .num_rows(),
            0
        );
    }
}
