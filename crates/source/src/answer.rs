//! Queries on telemetry over ClickHouse's HTTP interface.
//!
//! Not with the `clickhouse` crate: it takes the end of any piece of an answer that looks like an
//! exception for one, and log lines of ClickHouse do look like one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use reqwest::multipart::Form;
use reqwest::{Response, StatusCode};
use secrecy::ExposeSecret;

use crate::client::ClickHouse;
use crate::error::SourceError;
use crate::exception::Exception;
use crate::inflate::Inflate;
use crate::metrics::{self, Purpose};
use crate::query::Query;
use crate::sql::{self, Statement};

const EXCEPTION_CODE: &str = "X-ClickHouse-Exception-Code";

const GZIP: &str = "gzip";

/// How much of an error's text is read.
const ERROR_BYTES: usize = 64 * 1024;

/// An answer that has begun.
pub(crate) struct Answer {
    response: Response,
    /// How long to wait for the next bytes.
    patience: Duration,
    idle_timeout: Duration,
}

impl ClickHouse {
    /// Sends a query and returns once the answer begins: gzip around Native, or no bytes at all. `settings`
    /// stand over those that all queries have.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, refuses the query, or takes too long.
    pub(crate) async fn ask(
        &self,
        statement: Statement,
        query_id: &str,
        settings: &[(&'static str, String)],
    ) -> Result<Answer, SourceError> {
        let asked = Instant::now();
        let how = [("default_format", "Native"), ("query_id", query_id)];
        let answer = self.begin(statement, &how, settings, self.first_timeout());
        let answer = answer.await;
        metrics::asked(Purpose::Rows, &answer, asked.elapsed());
        answer
    }

    /// Asks for none of the rows of a query, as it would ask for all of them.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) async fn ask_for_nothing(&self, query: &Query) -> Result<(), SourceError> {
        let how = [("default_format", "Native")];
        let statement = sql::none(query);
        let answer = self.begin(statement, &how, &[], self.idle_timeout());
        let mut answer = answer.await?;
        while answer.chunk().await?.is_some() {}
        Ok(())
    }

    /// Sends a query and returns once the answer begins, for which there is `patience`. `settings` stand over
    /// those that all queries have.
    pub(crate) async fn begin(
        &self,
        statement: Statement,
        how: &[(&str, &str)],
        settings: &[(&'static str, String)],
        patience: Duration,
    ) -> Result<Answer, SourceError> {
        let config = &*self.config;
        let agreed = self.settings().await?;
        let mut password = HeaderValue::from_bytes(config.password.expose_secret().as_bytes())
            .map_err(|_| SourceError::Password)?;
        password.set_sensitive(true);
        // A form: a URL may not be as long as filters can be, and proxies keep it in their logs.
        let mut form = Form::new().text("query", statement.sql);
        for (name, parameter) in statement.parameters {
            form = form.text(format!("param_{name}"), parameter.to_string());
        }
        let is_over = |name: &str| settings.iter().any(|(over, _)| *over == name);
        let below = agreed.sent.iter().filter(|(name, _)| !is_over(name));
        let over = settings.iter().filter(|(name, _)| agreed.allows(name));
        let mut url = config.url.clone();
        url.query_pairs_mut()
            .clear()
            .extend_pairs(below.chain(over))
            .append_pair("database", &config.database)
            .extend_pairs(how);
        let request = self
            .http
            .post(url)
            .header("X-ClickHouse-User", &config.user)
            .header("X-ClickHouse-Key", password)
            .header(ACCEPT_ENCODING, GZIP)
            .multipart(form);
        let response = tokio::time::timeout(patience, request.send())
            .await
            .map_err(|_| SourceError::Stalled(patience))??;
        let mut answer = Answer {
            response,
            patience,
            idle_timeout: self.idle_timeout(),
        };
        let is_error = answer.header(EXCEPTION_CODE).is_some();
        if answer.response.status() != StatusCode::OK || is_error {
            let refused = Err(answer.error().await);
            self.review_settings(&refused);
            return refused;
        }
        Ok(answer)
    }
}

impl Answer {
    /// Returns what an exception in the middle of this answer would be marked with.
    pub(crate) fn exception_tag(&self) -> Option<String> {
        self.header("X-ClickHouse-Exception-Tag").map(str::to_owned)
    }

    /// Checks that the answer, which has bytes, comes in gzip.
    ///
    /// # Errors
    ///
    /// [`SourceError::Answer`] when it does not.
    pub(crate) fn check_encoding(&self) -> Result<(), SourceError> {
        if self.is_gzip() {
            Ok(())
        } else {
            let problem = "without gzip, which would prove that it is whole";
            Err(SourceError::Answer(problem.to_owned()))
        }
    }

    /// Returns the next bytes, or nothing at the end.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or nothing comes for too long.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, SourceError> {
        let chunk = tokio::time::timeout(self.patience, self.response.chunk())
            .await
            .map_err(|_| SourceError::Stalled(self.patience))?;
        self.patience = self.idle_timeout;
        Ok(chunk?)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    fn is_gzip(&self) -> bool {
        self.header(CONTENT_ENCODING.as_str()) == Some(GZIP)
    }

    /// Returns what is wrong, as far as there is anything to read of it.
    async fn error(&mut self) -> SourceError {
        let mut inflate = self.is_gzip().then(Inflate::new);
        let mut text = Vec::new();
        while text.len() < ERROR_BYTES
            && let Ok(Some(chunk)) = self.chunk().await
        {
            let mut packed = &chunk[..];
            match &mut inflate {
                None => text.extend_from_slice(packed),
                Some(inflate) => {
                    while text.len() < ERROR_BYTES
                        && let Ok(Some(bytes)) = inflate.next(&mut packed)
                    {
                        text.extend_from_slice(&bytes);
                    }
                }
            }
        }
        let code = self
            .header(EXCEPTION_CODE)
            .and_then(|code| code.parse().ok());
        let of_header = |code| Exception {
            code,
            name: String::new(),
        };
        match Exception::parse(&String::from_utf8_lossy(&text)).or(code.map(of_header)) {
            Some(exception) => SourceError::Engine(exception),
            // The text is nobody's exception, but could quote the filter all the same.
            None => SourceError::Answer(self.response.status().to_string()),
        }
    }
}
