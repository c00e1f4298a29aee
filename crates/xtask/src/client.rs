//! A client of the API, as a dashboard is one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use reqwest::header::{CONTENT_DISPOSITION, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::preset::{Dataset, Day};

/// The time between two looks at a job.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The files that the demo and the benchmarks ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileKind {
    /// CSV as it is.
    Csv,
    /// CSV in gzip.
    #[value(name = "csv.gz")]
    CsvGz,
    /// An object a line, in gzip.
    #[value(name = "json.gz")]
    JsonGz,
    /// Parquet.
    Parquet,
}

impl FileKind {
    /// Returns what people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::CsvGz => "csv.gz",
            Self::JsonGz => "json.gz",
            Self::Parquet => "parquet",
        }
    }

    /// Returns the format, as a request has it.
    fn format(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvGz => "csv",
            Self::JsonGz => "json",
            Self::Parquet => "parquet",
        }
    }

    /// Returns the format, as ClickHouse calls it.
    pub(crate) fn clickhouse_format(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvGz => "CSVWithNames",
            Self::JsonGz => "JSONEachRow",
            Self::Parquet => "Parquet",
        }
    }
}

/// A job as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Job {
    /// Percent.
    pub(crate) progress: u64,
    /// Rows written so far.
    pub(crate) rows_exported: u64,
    status: String,
    file: Option<JobFile>,
    error: Option<JobError>,
}

/// What the API says about the file of a completed job.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct JobFile {
    /// Its name.
    pub(crate) name: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// Rows in it.
    pub(crate) rows: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub(crate) sha256: String,
}

#[derive(Clone, Debug, Deserialize)]
struct JobError {
    code: String,
    message: String,
}

/// A file that was downloaded.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// Returns the request for everything in a dataset on one day, in the order of time or as ClickHouse finds it.
pub(crate) fn body(dataset: Dataset, kind: FileKind, by_time: bool, day: Day) -> Value {
    let mut body = json!({
        "data_type": dataset.name(),
        "format": kind.format(),
        "start_time": day.start(),
        "end_time": day.end(),
    });
    if kind == FileKind::Csv {
        body["compression"] = json!("none");
    }
    if !by_time {
        body["options"] = json!({"order": "storage"});
    }
    body
}

/// Speaks to the API with one token.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    api: String,
    token: String,
}

impl Client {
    /// Speaks to the API at `api`. `http` must not follow redirects.
    pub(crate) fn new(http: reqwest::Client, api: String, token: String) -> Self {
        Self { http, api, token }
    }

    /// Asks for everything in a dataset on one day, in the order of time or as ClickHouse finds it.
    ///
    /// # Errors
    ///
    /// When the API does not accept it.
    pub(crate) async fn request(
        &self,
        dataset: Dataset,
        kind: FileKind,
        by_time: bool,
        day: Day,
    ) -> Result<Uuid> {
        #[derive(Deserialize)]
        struct Accepted {
            job_id: Uuid,
        }
        let body = body(dataset, kind, by_time, day);
        let request = self.http.post(self.url("")).json(&body);
        let accepted: Accepted = self
            .send(request, StatusCode::ACCEPTED)
            .await?
            .json()
            .await?;
        Ok(accepted.job_id)
    }

    /// Looks at a job.
    ///
    /// # Errors
    ///
    /// When the API does not show it.
    pub(crate) async fn look_at(&self, id: Uuid) -> Result<Job> {
        let request = self.http.get(self.url(&format!("/{id}")));
        Ok(self.send(request, StatusCode::OK).await?.json().await?)
    }

    /// Looks at the newest jobs.
    ///
    /// # Errors
    ///
    /// When the API does not list them.
    pub(crate) async fn list(&self) -> Result<()> {
        let request = self.http.get(self.url(""));
        self.send(request, StatusCode::OK).await?.bytes().await?;
        Ok(())
    }

    /// Begins to listen to a job, and returns the stream of events.
    ///
    /// # Errors
    ///
    /// When the API does not let it.
    pub(crate) async fn listen(&self, id: Uuid) -> Result<Response> {
        let request = self.http.get(self.url(&format!("/{id}/events")));
        self.send(request, StatusCode::OK).await
    }

    /// Waits until a job is completed, and reports it each time that it is looked at: the less often, the longer
    /// it takes. Returns what the API says about the file.
    ///
    /// # Errors
    ///
    /// When it ends in any other way.
    pub(crate) async fn completed(&self, id: Uuid, report: impl Fn(&Job)) -> Result<JobFile> {
        let asked = Instant::now();
        loop {
            let job = self.look_at(id).await?;
            report(&job);
            match job.status.as_str() {
                "COMPLETED" => return job.file.context("a completed job has no file"),
                "PENDING" | "PROCESSING" => {
                    let pause = (asked.elapsed() / 50).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                    tokio::time::sleep(pause).await;
                }
                status => {
                    let why = job.error.map(|e| format!(" ({}: {})", e.code, e.message));
                    bail!("export {id} is {status}{}", why.unwrap_or_default());
                }
            }
        }
    }

    /// Follows the download link of a completed job and puts the file into `dir` under its own name.
    ///
    /// # Errors
    ///
    /// When the link or the file is not there.
    pub(crate) async fn download(&self, id: Uuid, dir: &Path) -> Result<Download> {
        let request = self.http.get(self.url(&format!("/{id}/download")));
        let response = self.send(request, StatusCode::FOUND).await?;
        let link = response
            .headers()
            .get(LOCATION)
            .context("the redirect has no Location")?
            .to_str()?;

        let mut file = expect(StatusCode::OK, self.http.get(link).send().await?).await?;
        let name = file_name(&file).context("the file has no name")?;
        fs::create_dir_all(dir)?;
        let path = dir.join(name);
        let mut output = File::create(&path)?;
        let mut sha256 = Sha256::new();
        let mut bytes = 0;
        while let Some(chunk) = file.chunk().await? {
            output.write_all(&chunk)?;
            sha256.update(&chunk);
            bytes += chunk.len() as u64;
        }
        Ok(Download {
            path,
            bytes,
            sha256: hex::encode(sha256.finalize()),
        })
    }

    /// Returns the bearer token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Returns where exports are, or what is below.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/api/v1/export{path}", self.api)
    }

    async fn send(&self, request: RequestBuilder, status: StatusCode) -> Result<Response> {
        expect(status, request.bearer_auth(&self.token).send().await?).await
    }
}

async fn expect(status: StatusCode, response: Response) -> Result<Response> {
    let (got, url) = (response.status(), response.url().path().to_owned());
    if got != status {
        let body = response.text().await.unwrap_or_default();
        bail!("{url} answers {got}, not {status}: {body}");
    }
    Ok(response)
}

/// Returns the file name of a Content-Disposition, which must be a bare name.
fn file_name(response: &Response) -> Result<String> {
    let disposition = response
        .headers()
        .get(CONTENT_DISPOSITION)
        .context("there is no Content-Disposition")?
        .to_str()?;
    let name = disposition
        .split_once("filename=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(name, _)| name)
        .with_context(|| format!("{disposition:?} names no file"))?;
    ensure!(
        !name.is_empty() && !name.contains('/'),
        "{name:?} is no bare file name"
    );
    Ok(name.to_owned())
}
