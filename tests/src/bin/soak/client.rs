//! A user who keeps asking for exports, and now and then changes their mind.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use e2e::token;
use fastrand::Rng;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::check::{ROWS, START};
use crate::stage::Stage;

/// Exports that the user waits for at the same time.
const AT_ONCE: usize = 5;

/// How often the user looks.
const LOOK: Duration = Duration::from_millis(300);

/// The user.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    random: Rng,
}

/// An export that the user waits for.
struct Waiting {
    id: String,
    /// When the user cancels it, if at all.
    cancel_at: Option<Instant>,
    /// Whether the user deletes the file once it is there.
    delete: bool,
}

/// What the user was told.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    accepted: u32,
    cancels: u32,
    deletions: u32,
    unanswered: u32,
}

impl Client {
    pub(crate) fn new(stage: &Stage<'_>, seed: u64) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(0)
                .build()?,
            url: format!("{}/api/v1/export", stage.api_url()),
            token: token(&stage.world.env.jwt_secret, &stage.world.ours)?,
            random: Rng::with_seed(seed ^ 0x5eed),
        })
    }

    /// Asks for exports for as long as `length`. That there is no answer is no error: the API may
    /// be down.
    pub(crate) async fn ask_for(mut self, length: Duration) -> Result<Asked> {
        let started = Instant::now();
        let mut asked = Asked::default();
        let mut waiting: Vec<Waiting> = Vec::new();
        while started.elapsed() < length {
            if waiting.len() < AT_ONCE {
                let request = self.request();
                let answer = self.send(Method::POST, "", Some(&request)).await;
                match answer {
                    Some((StatusCode::ACCEPTED, job)) => {
                        asked.accepted += 1;
                        waiting.push(self.wait_for(&job));
                    }
                    Some((status, problem)) => {
                        ensure!(status.is_server_error(), "{status}: {problem}");
                        asked.unanswered += 1;
                    }
                    None => asked.unanswered += 1,
                }
            }
            self.look_at(&mut waiting, &mut asked).await?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(asked)
    }

    /// Looks at each job once, and drops those that have ended.
    async fn look_at(&self, waiting: &mut Vec<Waiting>, asked: &mut Asked) -> Result<()> {
        let mut still = Vec::new();
        for mut job in waiting.drain(..) {
            let path = format!("/{}", job.id);
            if job.cancel_at.is_some_and(|at| at <= Instant::now())
                && self.send(Method::DELETE, &path, None).await.is_some()
            {
                asked.cancels += 1;
                job.cancel_at = None;
            }
            let Some((status, shown)) = self.send(Method::GET, &path, None).await else {
                still.push(job);
                continue;
            };
            ensure!(
                status == StatusCode::OK || status.is_server_error(),
                "{status}: {shown}"
            );
            match shown["status"].as_str() {
                Some("COMPLETED") if job.delete => {
                    if self.send(Method::DELETE, &path, None).await.is_some() {
                        asked.deletions += 1;
                    }
                }
                Some("COMPLETED" | "FAILED" | "CANCELLED" | "EXPIRED") => {}
                _ => still.push(job),
            }
        }
        *waiting = still;
        Ok(())
    }

    /// Makes up a request: nothing, a little, or several slices, in any format.
    fn request(&mut self) -> Value {
        let rows = match self.random.u32(0..10) {
            0 => 0,
            1..=4 => self.random.i64(1..500),
            5..=7 => self.random.i64(1_000..8_000),
            _ => self.random.i64(20_000..ROWS),
        };
        let first = self.random.i64(0..=ROWS - rows);
        let start = start() + TimeDelta::seconds(first);
        let (start, end) = match rows {
            // A window before all rows.
            0 => (start - TimeDelta::days(300), start - TimeDelta::days(299)),
            _ => (start, start + TimeDelta::seconds(rows)),
        };
        let mut request = json!({
            "data_type": "logs", "columns": ["timestamp", "body"],
            "start_time": start.to_rfc3339(), "end_time": end.to_rfc3339(),
        });
        let (format, compression) = [
            ("csv", "none"),
            ("csv", "gzip"),
            ("json", "none"),
            ("json", "zstd"),
            ("parquet", "none"),
        ][self.random.usize(0..5)];
        request["format"] = json!(format);
        if format != "parquet" {
            request["compression"] = json!(compression);
        }
        if format == "csv" {
            // So that cells are the values.
            request["options"] = json!({"csv": {"escape_formulas": false}});
        }
        request
    }

    fn wait_for(&mut self, job: &Value) -> Waiting {
        let cancel = self.random.u32(0..12) == 0;
        let patience = Duration::from_millis(self.random.u64(0..3_000));
        Waiting {
            id: job["job_id"].as_str().unwrap_or_default().to_owned(),
            cancel_at: cancel.then(|| Instant::now() + patience),
            delete: self.random.u32(0..12) == 0,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(StatusCode, Value)> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        Some((answer.status(), answer.json().await.ok()?))
    }
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(START, 0).unwrap_or_default()
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = BTreeMap::from([
            ("accepted", self.accepted),
            ("cancels", self.cancels),
            ("deletions", self.deletions),
            ("without an answer", self.unanswered),
        ]);
        writeln!(f, "requests")?;
        for (what, count) in counts {
            writeln!(f, "  {count:>4}  {what}")?;
        }
        Ok(())
    }
}
