//! ClickHouse as an auditor asks it: over HTTP, with none of the product's code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use devstack::Env;
use serde_json::Value;

/// A connection to the shared ClickHouse.
#[derive(Clone, Debug)]
pub struct ClickHouse {
    http: reqwest::Client,
    env: Env,
}

impl ClickHouse {
    /// Speaks to the ClickHouse of `env`.
    pub fn new(env: &Env) -> Self {
        Self {
            http: reqwest::Client::new(),
            env: env.clone(),
        }
    }

    /// Runs a statement with `{name:Type}` parameters.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub async fn run(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(name, value)| (format!("param_{name}"), *value))
            .collect();
        let answer = self
            .http
            .post(&self.env.clickhouse_url)
            .query(&[("database", self.env.clickhouse_database.as_str())])
            .query(&parameters)
            .basic_auth(
                &self.env.clickhouse_user,
                Some(&self.env.clickhouse_password),
            )
            .body(sql.to_owned())
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{sql}: {text}");
        }
        Ok(text)
    }

    /// Returns the rows of a query as JSON, times as RFC 3339 and 64-bit integers as numbers.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub async fn rows(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let sql = format!(
            "{sql} SETTINGS date_time_output_format = 'iso', \
             output_format_json_quote_64bit_integers = 0 FORMAT JSONEachRow"
        );
        let text = self.run(&sql, parameters).await?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Runs the statements of a script of the devstack.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or what ClickHouse says.
    pub async fn script(&self, name: &str, parameters: &[(&str, &str)]) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/devstack/sql");
        let script = fs::read_to_string(path.join(name))?;
        for statement in script.split(";\n") {
            if statement
                .lines()
                .any(|line| !line.is_empty() && !line.starts_with("--"))
            {
                self.run(statement.trim_end().trim_end_matches(';'), parameters)
                    .await?;
            }
        }
        Ok(())
    }
}
