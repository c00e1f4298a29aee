//! Asks ClickHouse over its HTTP interface, without any of the product's code.

use anyhow::{Context as _, Result, bail};
use devstack::Env;

/// A connection to the ClickHouse of the stack.
#[derive(Clone, Debug)]
pub(crate) struct ClickHouse {
    http: reqwest::Client,
    url: String,
    user: String,
    password: String,
    database: String,
}

impl ClickHouse {
    /// Speaks to the ClickHouse of `env`.
    pub(crate) fn new(env: &Env, http: reqwest::Client) -> Self {
        Self {
            http,
            url: env.clickhouse_url.clone(),
            user: env.clickhouse_user.clone(),
            password: env.clickhouse_password.clone(),
            database: env.clickhouse_database.clone(),
        }
    }

    /// Runs a statement with query parameters (`{name:Type}`) and returns its result as
    /// tab-separated text.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub(crate) async fn query(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let parameters = parameters
            .iter()
            .map(|&(name, value)| (format!("param_{name}"), value));
        let response = self
            .http
            .post(&self.url)
            .query(&[("database", &self.database)])
            .query(&parameters.collect::<Vec<_>>())
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", &self.password)
            .body(sql.to_owned())
            .send()
            .await
            .context("ClickHouse does not answer")?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("ClickHouse refuses `{}`: {}", first_line(sql), text.trim());
        }
        Ok(text)
    }

    /// Runs a statement whose result is one number.
    ///
    /// # Errors
    ///
    /// What ClickHouse says, or when the result is no number.
    pub(crate) async fn number(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<u64> {
        let text = self.query(sql, parameters).await?;
        text.trim()
            .parse()
            .with_context(|| format!("`{}` gave {text:?}", first_line(sql)))
    }
}

/// Returns the statements of a script, which `;` at the end of a line separates.
pub(crate) fn statements(script: &str) -> impl Iterator<Item = &str> {
    let has_sql = |statement: &&str| {
        let mut lines = statement.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with("--"))
    };
    script
        .split(";\n")
        .map(|s| s.trim().trim_end_matches(';'))
        .filter(has_sql)
}

fn first_line(sql: &str) -> &str {
    sql.trim()
        .lines()
        .find(|line| !line.starts_with("--"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_script_falls_into_its_statements() {
        let script = "-- first\nSELECT ';';\n\n-- only words\n;\nSELECT\n  2;\n-- the end\n";
        assert_eq!(
            statements(script).collect::<Vec<_>>(),
            ["-- first\nSELECT ';'", "SELECT\n  2"]
        );
    }
}
