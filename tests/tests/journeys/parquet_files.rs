//! What a Parquet file says about itself, and what readers need to skip what they do not want.

use anyhow::{Context, Result};
use e2e::World;
use parquet::basic::{Compression, LogicalType, TimeUnit};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use serde_json::{Value, json};

#[tokio::test]
async fn metadata_types_statistics_and_codecs() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 1_000).await?;
    let settings = [("EXPORT__PIPELINE__ROW_GROUP_ROWS", "300")];
    let api = world.api(&settings).await?;
    let _worker = world.worker(&settings).await?;
    let filters = json!({"any": [{"field": "severity_number", "op": "gte", "value": 0}]});
    for codec in ["zstd", "snappy", "gzip", "none"] {
        let body = json!({
            "format": "parquet", "filters": filters, "options": {"parquet": {"compression": codec}},
        });
        let id = api.accepted(&body).await?;
        let file = api.download(&api.completed(&id).await?).await?;
        let mut reader =
            ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
        reader.try_parse(&bytes::Bytes::from(file.bytes))?;
        let parquet = reader.finish()?;

        let said = parquet
            .file_metadata()
            .key_value_metadata()
            .context("metadata")?;
        let said = |key: &str| {
            said.iter()
                .find(|entry| entry.key == key)
                .and_then(|entry| entry.value.clone())
        };
        assert_eq!(said("export.data_type").as_deref(), Some("logs"));
        assert_eq!(
            said("export.start_time").as_deref(),
            Some("2026-01-01T00:00:00Z")
        );
        assert_eq!(
            said("export.end_time").as_deref(),
            Some("2026-01-02T00:00:00Z")
        );
        let said_filters = said("export.filters").context("filters")?;
        assert_eq!(serde_json::from_str::<Value>(&said_filters)?, filters);
        assert!(said("export.service_version").is_some());

        assert_eq!(parquet.num_row_groups(), 4);
        let mut last = i64::MIN;
        for group in parquet.row_groups() {
            let column = |name: &str| {
                let found = group
                    .columns()
                    .iter()
                    .find(|column| column.column_path().string() == name);
                found.with_context(|| format!("no column {name}"))
            };
            let time = column("timestamp")?;
            let Some(LogicalType::Timestamp(kind)) = time.column_descr().logical_type_ref() else {
                panic!("no timestamp: {:?}", time.column_descr())
            };
            assert!(kind.is_adjusted_to_u_t_c && kind.unit == TimeUnit::NANOS);
            let statistics = time.statistics().context("statistics")?;
            let bound = |bytes: Option<&[u8]>| {
                anyhow::Ok(i64::from_le_bytes(bytes.context("a bound")?.try_into()?))
            };
            let (first, end) = (
                bound(statistics.min_bytes_opt())?,
                bound(statistics.max_bytes_opt())?,
            );
            assert!(
                last < first && first < end,
                "groups follow each other in time"
            );
            last = end;
            assert!(time.offset_index_offset().is_some() && time.column_index_offset().is_some());
            assert!(column("service_name")?.dictionary_page_offset().is_some());
            for column in group.columns() {
                let expected = match column.compression() {
                    Compression::ZSTD(_) => "zstd",
                    Compression::SNAPPY => "snappy",
                    Compression::GZIP(_) => "gzip",
                    Compression::UNCOMPRESSED => "none",
                    _ => "another",
                };
                assert_eq!(expected, codec);
            }
        }
    }
    Ok(())
}
