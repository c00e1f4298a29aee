//! What must hold in the end: of every job, of every file, of all that is stored.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{World, eventually};
use flate2::read::MultiGzDecoder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::FromRow;

use crate::stage::Stage;

/// Log records, one a second.
pub(crate) const ROWS: i64 = 42_000;

/// When the first one is: 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600;

/// How long the sweep may take, see the settings of the workers.
const SWEPT: Duration = Duration::from_mins(1);

const LOOK: Duration = Duration::from_secs(1);

/// Rows of a slice, see the settings of the workers.
const SLICE: u64 = 7_000;

/// Inserts the log records that are exported, and returns their bodies.
pub(crate) async fn fill(world: &World) -> Result<Vec<String>> {
    let organization = world.ours.organization.to_string();
    let parameters = [
        ("organization", organization.as_str()),
        ("rows", &ROWS.to_string()),
        ("start", &START.to_string()),
    ];
    let insert = "INSERT INTO otel_logs (Timestamp, TimestampTime, Body, ResourceAttributes) \
         SELECT fromUnixTimestamp64Nano(({start:Int64} + toInt64(number)) * 1000000000) AS t, t, \
         randomPrintableASCII(1000), map('telemetryflow.organization.id', {organization:String}) \
         FROM numbers({rows:UInt64})";
    world.clickhouse.run(insert, &parameters).await?;
    let select = "SELECT Body FROM otel_logs \
         WHERE ResourceAttributes['telemetryflow.organization.id'] = {organization:String} \
         ORDER BY Timestamp FORMAT JSONEachRow";
    let answer = world.clickhouse.run(select, &parameters[..1]).await?;
    let bodies = answer.lines().map(|line| {
        let row: Value = serde_json::from_str(line)?;
        Ok(row["Body"].as_str().context("a body")?.to_owned())
    });
    bodies.collect()
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Report {
    jobs: BTreeMap<String, u32>,
    files: u32,
    resumes: Vec<u64>,
    started_over: i64,
    mails: i64,
    violations: Vec<String>,
}

impl Report {
    /// Tells whether everything is as it must be.
    pub(crate) fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Waits until nothing is left to do, and looks at everything.
pub(crate) async fn check(world: &World, stage: &Stage<'_>, bodies: &[String]) -> Result<Report> {
    // All of it may take longer than one wait has patience for, as long as it gets less.
    let mut left = world.left_to_do().await?;
    while left > 0 {
        left = eventually("that less is left to do", async || {
            let now = world.left_to_do().await?;
            Ok((now < left).then_some(now))
        })
        .await?;
    }
    // What nobody knows of is found by the sweep, which looks every few seconds.
    let started = Instant::now();
    let mut violations = world.violations().await?;
    while !violations.is_empty() && started.elapsed() < SWEPT {
        tokio::time::sleep(LOOK).await;
        violations = world.violations().await?;
    }
    let mut report = Report {
        jobs: BTreeMap::new(),
        files: 0,
        resumes: resumes(world)?,
        started_over: count(world, "started_over").await?,
        mails: count(world, "completed").await? + count(world, "failed").await?,
        violations,
    };
    let http = reqwest::Client::new();
    for job in jobs(world).await? {
        let ended = match &job.error_code {
            Some(code) => format!("{} {code}", job.status),
            None => job.status.clone(),
        };
        *report.jobs.entry(ended).or_default() += 1;
        if job.status == "COMPLETED" {
            report.files += 1;
            if let Err(error) = job.check(&http, stage, bodies).await {
                let violation = format!("the file of {}: {error:#}", job.id);
                report.violations.push(violation);
            }
        }
    }
    Ok(report)
}

/// Reads from the logs of the workers how many rows each resumed job had to read again.
fn resumes(world: &World) -> Result<Vec<u64>> {
    let log = fs::read_to_string(world.dir.path().join("WORKER.log"))?;
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let repeated = lines.filter_map(|line| line["repeated_rows"].as_u64());
    Ok(repeated.collect())
}

async fn count(world: &World, kind: &str) -> Result<i64> {
    let sql = "SELECT count(*) FROM export_events WHERE kind = $1";
    let counted = sqlx::query_scalar(sql).bind(kind);
    Ok(counted.fetch_one(&mut world.postgres().await?).await?)
}

/// A job, as its row has it.
#[derive(FromRow)]
struct Job {
    id: String,
    status: String,
    error_code: Option<String>,
    format: String,
    compression: String,
    /// Seconds since the first row.
    first: i64,
    end: i64,
    sha256: Option<String>,
}

async fn jobs(world: &World) -> Result<Vec<Job>> {
    let sql = "SELECT job_id::text AS id, status, error_code, format, compression, sha256,
                      extract(epoch FROM start_time)::bigint - $1 AS first,
                      extract(epoch FROM end_time)::bigint - $1 AS end
               FROM export_jobs ORDER BY created_at";
    let jobs = sqlx::query_as(sql).bind(START);
    Ok(jobs.fetch_all(&mut world.postgres().await?).await?)
}

impl Job {
    /// Downloads the file and compares it with what was inserted.
    async fn check(
        &self,
        http: &reqwest::Client,
        stage: &Stage<'_>,
        bodies: &[String],
    ) -> Result<()> {
        let url = format!("{}/api/v1/export/{}/download", stage.api_url(), self.id);
        let token = e2e::token(&stage.world.env.jwt_secret, &stage.world.ours)?;
        let answer = http.get(url).bearer_auth(token).send().await?;
        let bytes = answer.error_for_status()?.bytes().await?.to_vec();
        let digest = hex::encode(Sha256::digest(&bytes));
        ensure!(self.sha256.as_ref() == Some(&digest), "another checksum");
        let found = self.bodies(bytes)?;
        let range = usize::try_from(self.first.max(0))?..usize::try_from(self.end.max(0))?;
        let expected = &bodies[range];
        ensure!(found.len() == expected.len(), "{} rows", found.len());
        let wrong = found
            .iter()
            .zip(expected)
            .position(|(found, expected)| found != expected);
        ensure!(wrong.is_none(), "row {wrong:?} is another one");
        Ok(())
    }

    /// Returns the bodies in a file.
    fn bodies(&self, bytes: Vec<u8>) -> Result<Vec<String>> {
        let bytes = match self.compression.as_str() {
            "gzip" => {
                let mut plain = Vec::new();
                MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain)?;
                plain
            }
            "zstd" => zstd::decode_all(&bytes[..])?,
            _ => bytes,
        };
        match self.format.as_str() {
            "csv" => {
                let mut bodies = Vec::new();
                for row in csv::Reader::from_reader(&bytes[..]).records() {
                    bodies.push(row?.get(1).context("a body")?.to_owned());
                }
                Ok(bodies)
            }
            "json" => {
                let rows = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
                rows.map(|row| Ok(row?["body"].as_str().context("a body")?.to_owned()))
                    .collect()
            }
            _ => {
                let reader = SerializedFileReader::new(bytes::Bytes::from(bytes))?;
                let rows = reader.get_row_iter(None)?;
                rows.map(|row| Ok(row?.get_string(1)?.clone())).collect()
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "jobs                    {}",
            self.jobs.values().sum::<u32>()
        )?;
        for (end, count) in &self.jobs {
            writeln!(f, "  {count:>4}  {end}")?;
        }
        writeln!(f, "files compared          {}", self.files)?;
        writeln!(f, "e-mails                 {}", self.mails)?;
        let repeated: u64 = self.resumes.iter().sum();
        let resumes = self.resumes.len() as u64;
        writeln!(f, "resumes                 {resumes}")?;
        writeln!(f, "started over            {}", self.started_over)?;
        writeln!(
            f,
            "rows read again         {repeated} (about {} MB), {} for each resume, {} at most; a slice has {SLICE}",
            repeated / 1000,
            repeated / resumes.max(1),
            self.resumes.iter().max().unwrap_or(&0),
        )?;
        writeln!(f, "violations              {}", self.violations.len())?;
        for violation in &self.violations {
            writeln!(f, "  {violation}")?;
        }
        Ok(())
    }
}
