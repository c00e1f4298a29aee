//! What the stack has in its databases before the service comes.

use std::fs;

use anyhow::Result;
use clap::ValueEnum;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::cargo;
use crate::preset::Preset;

/// The tables of ClickHouse and of Postgres.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Layout {
    /// The table layout of the sample data.
    #[arg(long, value_enum, default_value = "otel")]
    pub(crate) preset: Preset,
    /// What is in Postgres before it is migrated.
    #[arg(long, value_enum, default_value = "standalone")]
    pub(crate) schema: Schema,
}

impl Layout {
    /// The collector's tables, and an empty Postgres.
    pub(crate) const OTEL: Self = Self {
        preset: Preset::Otel,
        schema: Schema::Standalone,
    };
}

/// What is in Postgres before it is migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Schema {
    /// Nothing.
    Standalone,
    /// The tables of the specification, an `export_jobs` among them.
    Platform,
}

impl Schema {
    /// Creates the tables.
    ///
    /// # Errors
    ///
    /// When Postgres refuses.
    pub(crate) async fn create(self, postgres_url: &str) -> Result<()> {
        if self == Self::Standalone {
            return Ok(());
        }
        let path = cargo::root().join("crates/devstack/sql/platform/specification.sql");
        let mut connection = PgConnection::connect(postgres_url).await?;
        sqlx::raw_sql(AssertSqlSafe(fs::read_to_string(path)?))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}
