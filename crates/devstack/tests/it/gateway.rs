//! The ClickHouse gateway behaves as a server does.

mod client;
mod lifetime;
mod protocol;
mod streams;

use anyhow::Result;
use devstack::{ClickHouse, Env};
use reqwest::{Client, RequestBuilder, Response};

use crate::support::http;

/// A gateway to talk to in plain HTTP.
pub(crate) struct Gateway {
    http: Client,
    url: String,
    user: String,
    password: String,
}

impl Gateway {
    fn shared() -> Result<Self> {
        let env = Env::shared();
        Ok(Self {
            http: http()?,
            url: env.clickhouse_url.clone(),
            user: env.clickhouse_user.clone(),
            password: env.clickhouse_password.clone(),
        })
    }

    fn of(clickhouse: &ClickHouse) -> Result<Self> {
        Ok(Self {
            http: http()?,
            url: clickhouse.url().to_owned(),
            user: clickhouse.user().to_owned(),
            password: clickhouse.password().to_owned(),
        })
    }

    /// Prepares a POST of `sql`, logged in.
    fn post(&self, sql: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http
            .post(&self.url)
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", &self.password)
            .body(sql)
    }

    /// Runs `sql` with URL parameters.
    async fn run(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<Response> {
        let mut url: url::Url = self.url.parse()?;
        url.query_pairs_mut().extend_pairs(parameters);
        let mut request = self.post(sql.to_owned());
        if parameters
            .iter()
            .any(|(name, _)| name.contains("compression"))
        {
            request = request.header("Accept-Encoding", "gzip");
        }
        let mut request = request.build()?;
        *request.url_mut() = url;
        Ok(self.http.execute(request).await?)
    }

    /// Runs `sql` and returns what it says when it works.
    async fn text(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let response = self.run(sql, parameters).await?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::ensure!(status.is_success(), "{status}: {text}");
        Ok(text)
    }

    /// Says whether a query is running.
    async fn runs(&self, query_id: &str) -> Result<bool> {
        let sql = format!("SELECT count() FROM system.processes WHERE query_id = '{query_id}'");
        Ok(self.text(&sql, &[]).await? == "1\n")
    }
}
