//! A database of its own for each test, on the shared ClickHouse.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use devstack::Env;
use domain::{ExportRequest, Narrowing, OrganizationId, RequestLimits, TimeRange};
use serde_json::{Value, json};
use source::{
    Block, BlockLimits, Catalogue, ClickHouse, ClickHouseConfig, LiveCatalogue, Preset, Query,
    ReadLimits, Slice, SourceError,
};
use uuid::Uuid;

pub(crate) const START: &str = "2026-01-01T00:00:00Z";
pub(crate) const END: &str = "2026-01-02T00:00:00Z";
pub(crate) const SECONDS: u64 = 86_400;

pub(crate) struct Database {
    pub(crate) client: clickhouse::Client,
    pub(crate) preset: Preset,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) config: ClickHouseConfig,
    pub(crate) organization: OrganizationId,
}

impl Database {
    /// Creates a database with the tables of `ddl`.
    pub(crate) async fn create(preset: &str, ddl: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let env = Env::shared();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database = format!("source_{number}_{}", Uuid::new_v4().simple());
        let client = clickhouse::Client::default()
            .with_url(&env.clickhouse_url)
            .with_user(&env.clickhouse_user)
            .with_password(&env.clickhouse_password);
        client
            .query(&format!("CREATE DATABASE {database}"))
            .execute()
            .await
            .unwrap();
        let config = json!({
            "url": env.clickhouse_url, "database": database,
            "user": env.clickhouse_user, "password": env.clickhouse_password,
            "idle_timeout_ms": 30_000, "max_execution_time_s": 60,
            "max_memory_usage_bytes": 0, "max_threads": 0, "max_block_rows": 8_192,
            "send_timeout_s": 600,
        });
        let preset = Preset::load(&[("preset", preset)]).unwrap();
        let mut created = Self {
            client: client.with_database(database),
            catalogue: preset.assumed().into(),
            preset,
            config: serde_json::from_value(config).unwrap(),
            organization: Uuid::new_v4().into(),
        };
        created.run(ddl).await;
        created.look().await;
        created
    }

    /// Asks ClickHouse what there is, as a process does that starts.
    pub(crate) async fn look(&mut self) {
        let live = LiveCatalogue::new(self.preset.clone(), self.source());
        self.catalogue = live.looked().await.unwrap();
    }

    /// Runs statements that end with `;` at the end of a line.
    pub(crate) async fn run(&self, statements: &str) {
        for statement in statements
            .split(";\n")
            .filter(|text| !text.trim().is_empty())
        {
            let query = self.client.query_raw(statement);
            query
                .execute()
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Fills the tables with samples of the day from [`START`] to [`END`].
    pub(crate) async fn sample(&self, statements: &str, organization: OrganizationId, rows: u64) {
        for statement in statements
            .split(";\n")
            .filter(|text| !text.trim().is_empty())
        {
            self.client
                .query_raw(statement)
                .param("organization", organization.to_string())
                .param("start", "2026-01-01 00:00:00.000000000")
                .param("seconds", SECONDS)
                .param("rows", rows)
                .execute()
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    pub(crate) fn source(&self) -> ClickHouse {
        ClickHouse::new(&self.config).unwrap()
    }

    /// Resolves a request for the whole day, as changed.
    pub(crate) fn query(&self, data_type: &str, changes: &Value) -> Query {
        self.query_of(self.organization, data_type, changes)
    }

    pub(crate) fn query_of(
        &self,
        organization: OrganizationId,
        data_type: &str,
        changes: &Value,
    ) -> Query {
        let mut body = json!({
            "data_type": data_type, "format": "json", "start_time": START, "end_time": END,
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let request = ExportRequest::parse(&body, &RequestLimits::NONE).unwrap();
        self.catalogue
            .resolve(&request, organization, &Narrowing::default())
            .unwrap_or_else(|violations| panic!("{violations:?}"))
    }

    /// Reads the whole range of a query.
    pub(crate) async fn rows(&self, query: &Query) -> RecordBatch {
        read(&self.source(), query, query.range()).await.unwrap()
    }

    /// Asks ClickHouse itself for numbers.
    pub(crate) async fn number(&self, sql: &str) -> u64 {
        self.client.query_raw(sql).fetch_one::<u64>().await.unwrap()
    }
}

pub(crate) const LIMITS: ReadLimits = ReadLimits {
    block: BlockLimits {
        rows: 20_000,
        bytes: 16 << 20,
    },
    sort_bytes: 64 << 20,
};

/// Reads a slice to its end.
pub(crate) async fn read(
    source: &ClickHouse,
    query: &Query,
    slice: TimeRange,
) -> Result<RecordBatch, SourceError> {
    let slice = Slice {
        range: slice,
        rows: 0,
    };
    let blocks = blocks(source, query, slice, LIMITS).await?;
    Ok(concat_batches(&query.schema(), &blocks).unwrap())
}

/// Reads a slice to its end. Each block is a batch.
pub(crate) async fn blocks(
    source: &ClickHouse,
    query: &Query,
    slice: Slice,
    limits: ReadLimits,
) -> Result<Vec<RecordBatch>, SourceError> {
    let query_id = Uuid::new_v4().to_string();
    let mut read = source.reader(query, limits).read(slice, &query_id);
    let mut blocks = Vec::new();
    while let Some(block) = read.next().await? {
        let block = whole(&block, &query.schema());
        assert!((1..=limits.block.rows).contains(&block.num_rows()));
        blocks.push(block);
    }
    Ok(blocks)
}

/// Makes one batch of the rows of a block.
fn whole(block: &Block, schema: &SchemaRef) -> RecordBatch {
    let batches: Vec<_> = block
        .batches
        .iter()
        .map(|batch| plain(batch, schema))
        .collect();
    match &block.order {
        None => concat_batches(schema, &batches).unwrap(),
        Some(order) => {
            let batches: Vec<_> = batches.iter().collect();
            interleave_record_batch(&batches, order).unwrap()
        }
    }
}

/// Takes texts out of their dictionaries.
fn plain(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap());
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}
