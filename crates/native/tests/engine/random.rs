//! Random rows of random types.

use proptest::prelude::*;

use crate::client::Client;
use crate::compared::check;

/// Types of single values that can be in a `Nullable`.
const SCALARS: &[&str] = &[
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Int128",
    "Int256",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt128",
    "UInt256",
    "Float32",
    "Float64",
    "Bool",
    "Decimal(5, 2)",
    "Decimal(18, 18)",
    "Decimal(38, 3)",
    "Decimal(76, 20)",
    "String",
    "FixedString(1)",
    "FixedString(17)",
    "Date",
    "Date32",
    "DateTime",
    "DateTime('Asia/Tokyo')",
    "DateTime64(0)",
    "DateTime64(3)",
    "DateTime64(4, 'Europe/Berlin')",
    "DateTime64(6)",
    "DateTime64(9)",
    "UUID",
    "IPv4",
    "IPv6",
    "Enum8('a' = 1, 'b' = -128, 'c' = 127)",
    "Enum16('x' = -32768, 'y' = 0, 'z' = 32767)",
];

/// Types that can be in a `LowCardinality`.
const LOW_CARDINALITY: &[&str] = &[
    "String",
    "FixedString(3)",
    "UInt8",
    "Int16",
    "UInt64",
    "Int128",
    "Float64",
    "Date",
    "Date32",
    "DateTime",
    "UUID",
    "IPv4",
];

fn any_type() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(SCALARS).prop_map(str::to_owned);
    let nullable = prop::sample::select(SCALARS).prop_map(|each| format!("Nullable({each})"));
    let low = prop::sample::select(LOW_CARDINALITY);
    let low_cardinality = low
        .clone()
        .prop_map(|each| format!("LowCardinality({each})"));
    let low_nullable = low.prop_map(|each| format!("LowCardinality(Nullable({each}))"));
    let alias =
        prop::sample::select(&["Point", "Ring", "MultiPolygon"][..]).prop_map(str::to_owned);
    let leaf = prop_oneof![
        4 => scalar,
        3 => nullable,
        3 => low_cardinality.clone(),
        2 => low_nullable,
        1 => alias,
    ];
    let key = prop_oneof![
        prop::sample::select(&["String", "UInt64", "UUID", "Date", "FixedString(2)"][..])
            .prop_map(str::to_owned),
        low_cardinality,
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            inner.clone().prop_map(|each| format!("Array({each})")),
            (key.clone(), inner.clone()).prop_map(|(key, value)| format!("Map({key}, {value})")),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|each| format!("Tuple({})", each.join(", "))),
            prop::collection::vec(inner, 1..4).prop_map(|each| {
                let members = ('a'..)
                    .zip(each)
                    .map(|(name, each)| format!("{name} {each}"));
                format!("Tuple({})", members.collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

fn structure(types: &[String]) -> String {
    let columns = types
        .iter()
        .enumerate()
        .map(|(place, each)| format!("c{place} {each}"));
    columns.collect::<Vec<_>>().join(", ").replace('\'', "\\'")
}

#[tokio::test]
async fn every_scalar_type_comes_through() {
    let client = Client::new();
    let low = LOW_CARDINALITY.iter();
    let low = low.flat_map(|each| {
        [
            format!("LowCardinality({each})"),
            format!("LowCardinality(Nullable({each}))"),
        ]
    });
    let types: Vec<_> = SCALARS
        .iter()
        .flat_map(|each| {
            [
                (*each).to_owned(),
                format!("Nullable({each})"),
                format!("Array({each})"),
            ]
        })
        .chain(low)
        .chain(["Point", "Ring", "MultiPolygon"].map(str::to_owned))
        .collect();
    let structure = structure(&types);
    let sql = format!("SELECT * FROM generateRandom('{structure}', 7, 40, 3) LIMIT 2000");
    let blocks = check(&client, &sql, 300, 10_000).await;
    assert!(blocks.len() > 1);
}

#[test]
fn random_types_come_through() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new();
    let config = ProptestConfig {
        cases: 60,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    };
    let cases = (
        prop::collection::vec(any_type(), 1..5),
        any::<u32>(),
        0_usize..300,
        1_usize..200,
        1_usize..5000,
    );
    proptest!(config, |((types, seed, rows, block_rows, chunk) in cases)| {
        let structure = structure(&types);
        let sql = format!(
            "SELECT * FROM generateRandom('{structure}', {seed}, 20, 3) LIMIT {rows}"
        );
        runtime.block_on(check(&client, &sql, block_rows, chunk));
    });
}

#[tokio::test]
async fn dictionaries_of_every_width_come_through() {
    let client = Client::new();
    for rows in [200, 300, 70_000] {
        let sql = format!(
            "SELECT toString(number)::LowCardinality(String) a, \
             if(number % 3 = 0, NULL, number)::LowCardinality(Nullable(UInt64)) b, \
             map(toString(number)::LowCardinality(String), number) c \
             FROM numbers({rows})"
        );
        check(&client, &sql, 70_000, 100_000).await;
    }
}

#[tokio::test]
async fn long_strings_come_through() {
    let client = Client::new();
    let sql = "SELECT repeat('x', number * 37) a, [repeat('y', 20000), ''] b FROM numbers(500)";
    check(&client, sql, 100, 1000).await;
}
