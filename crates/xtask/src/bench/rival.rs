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

/// Lets ClickHouse write a file.
pub(crate) async fn export(
    stack: &Stack,
    dataset: Dataset,
    kind: FileKind,
    order: Order,
    day: Day,
) -> Result<()> {
    let compression = match kind {
        FileKind::CsvGz | FileKind::JsonGz => "gzip",
        FileKind::Csv | FileKind::Parquet => "none",
    };
    let select = stack.preset().select(dataset, order == Order::Time);
    let sql = format!(
        "INSERT INTO FUNCTION s3({}, '{}', auto, '{compression}')\n{select}\n\
         SETTINGS s3_truncate_on_insert = 1, output_format_parquet_compression_method = 'zstd'",
        file(stack, kind),
        kind.clickhouse_format(),
    );
    let organization = BAKERY.organization.to_string();
    let start = day.start_sql();
    let parameters = [("organization", organization.as_str()), ("start", &start)];
    stack.clickhouse().query(&sql, &parameters).await?;
    Ok(())
}

/// Returns how many bytes the file has that was written last.
pub(crate) async fn size(stack: &Stack, kind: FileKind) -> Result<u64> {
    let sql = format!("SELECT any(_size) FROM s3({}, 'One')", file(stack, kind));
    stack.clickhouse().number(&sql, &[]).await
}

/// Says where the file is and who may write it, as arguments of `s3`.
fn file(stack: &Stack, kind: FileKind) -> String {
    let s3 = &stack.env().s3;
    format!(
        "'{}/{}/rival.{}', '{}', '{}'",
        s3.endpoint,
        s3.bucket,
        kind.name(),
        s3.access_key,
        s3.secret_key
    )
}
