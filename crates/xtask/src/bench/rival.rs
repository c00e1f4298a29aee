//! ClickHouse's own export: `INSERT INTO FUNCTION s3`.

use anyhow::Result;

use crate::client::FileKind;
use crate::preset::{Dataset, Day};
use crate::stack::Stack;
use crate::tenants::BAKERY;

/// Whether rows come as ClickHouse finds them, or by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// As they are found.
    Storage,
    /// By time.
    Time,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Time => "time",
        }
    }
}

/// Lets ClickHouse write a file, and returns its size.
pub(crate) async fn export(
    stack: &Stack,
    dataset: Dataset,
    kind: FileKind,
    order: Order,
    day: Day,
) -> Result<u64> {
    let s3 = &stack.env().s3;
    let key = format!("rival.{}", kind.name());
    let url = format!("{}/{}/{key}", s3.endpoint, s3.bucket);
    let compression = match kind {
        FileKind::CsvGz | FileKind::JsonGz => "gzip",
        FileKind::Csv | FileKind::Parquet => "none",
    };
    let select = stack.preset().select(dataset, order == Order::Time);
    let sql = format!(
        "INSERT INTO FUNCTION s3('{url}', '{}', '{}', '{}', auto, '{compression}')\n{select}\n\
         SETTINGS s3_truncate_on_insert = 1, output_format_parquet_compression_method = 'zstd'",
        s3.access_key,
        s3.secret_key,
        kind.clickhouse_format(),
    );
    let organization = BAKERY.organization.to_string();
    let start = day.start_sql();
    let parameters = [("organization", organization.as_str()), ("start", &start)];
    let clickhouse = stack.clickhouse();
    clickhouse.query(&sql, &parameters).await?;
    let size = format!(
        "SELECT any(_size) FROM s3('{url}', '{}', '{}', 'One')",
        s3.access_key, s3.secret_key
    );
    clickhouse.number(&size, &[]).await
}
