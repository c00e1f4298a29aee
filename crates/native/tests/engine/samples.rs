//! All columns of the tables that the product reads.

use crate::client::Client;
use crate::compared::check;

const TABLES: &[(&str, &str)] = &[
    (
        include_str!("../../../devstack/sql/otel.sql"),
        include_str!("../../../devstack/sql/otel_sample.sql"),
    ),
    (
        include_str!("../../../devstack/sql/telemetryflow.sql"),
        include_str!("../../../devstack/sql/telemetryflow_sample.sql"),
    ),
];

#[tokio::test]
async fn all_columns_of_all_tables_come_through() {
    let client = Client::new().in_new_database().await;
    let parameters = [
        ("param_organization", "6f1b4c52-0000-4000-8000-000000000001"),
        ("param_start", "2026-01-01 00:00:00.000000000"),
        ("param_seconds", "86400"),
        ("param_rows", "3000"),
    ];
    for (ddl, sample) in TABLES {
        for (statements, parameters) in [(ddl, &[][..]), (sample, &parameters[..])] {
            for statement in statements
                .split(";\n")
                .filter(|text| !text.trim().is_empty())
            {
                client.bytes(statement, "Null", parameters).await;
            }
        }
    }
    let tables = "SELECT name FROM system.tables WHERE database = currentDatabase()";
    let tables = client.bytes(tables, "TSV", &[]).await;
    let tables = String::from_utf8(tables.to_vec()).unwrap();
    assert!(tables.lines().count() > 8, "{tables}");
    for table in tables.lines() {
        let blocks = check(
            &client,
            &format!("SELECT * FROM {table} ORDER BY ALL"),
            500,
            65_536,
        )
        .await;
        let rows: usize = blocks.iter().map(|block| block.batch.num_rows()).sum();
        assert!(rows >= 300, "{table} has {rows} rows");
    }
}
