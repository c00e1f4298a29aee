//! Lets Schemathesis try out the API: what its OpenAPI document describes, and what that forbids.

use std::fs;

use anyhow::{Result, ensure};
use devstack::setup;
use domain::{Clock as _, SystemClock};

use crate::cargo::{self, Binaries, Build};
use crate::client::FileKind;
use crate::interrupt::or_interrupted;
use crate::layout::Layout;
use crate::preset::Dataset;
use crate::stack::{self, GRACE, SAMPLE_DAY, Stack};
use crate::tenants::BAKERY;
use crate::terminal;

/// What is checked, and how; two exports are to be filled in.
const CONFIG: &str = include_str!("check_api/schemathesis.toml");

/// So that nothing is left out: permissions, webhooks, links of the service, and the headers of a rate
/// limit that is never reached.
const KEYS: &[(&str, &str)] = &[
    ("EXPORT__AUTH__PERMISSIONS_CLAIMS", r#"["scope"]"#),
    (
        "EXPORT__NOTIFY__WEBHOOK_SECRETS",
        r#"["only for this check, never in production"]"#,
    ),
    ("EXPORT__HTTP__PUBLIC_URL", "https://export.example.com"),
    ("EXPORT__LIMITS__MAX_SCHEDULES", "1000000"),
    ("EXPORT__RATE_LIMIT__CREATE_PER_MINUTE", "1000000"),
    ("EXPORT__RATE_LIMIT__OTHER_PER_MINUTE", "1000000"),
];

/// The arguments of `check-api`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Requests of an operation at random, besides those that the document's corners make.
    #[arg(long, default_value_t = Self::default().examples)]
    examples: u32,
    /// What an earlier run has printed: the same seed makes the same requests.
    #[arg(long)]
    seed: Option<i64>,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            examples: 40,
            seed: None,
        }
    }
}

/// Starts the product, and fails when any answer is not as it is described.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Checking the API against its description");
    let started = or_interrupted(async {
        stack::install().await?;
        let binaries = cargo::build(Build::Binaries).await?;
        let stack = Stack::start("check-api", Layout::OTEL, &binaries).await?;
        Ok((stack, binaries))
    });
    let (stack, binaries) = started.await?;
    let outcome = or_interrupted(check(&stack, &binaries, args)).await;
    let stopped = terminal::stop(stack.stop()).await;
    outcome.and(stopped)
}

async fn check(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<()> {
    let seed = args
        .seed
        .unwrap_or_else(|| SystemClock.now().timestamp_millis());
    let mut schemathesis = setup::schemathesis().await?;
    let clickhouse = stack.clickhouse();
    let organization = BAKERY.organization;
    for dataset in [Dataset::Logs, Dataset::Traces, Dataset::Metrics] {
        let preset = stack.preset();
        preset
            .seed(&clickhouse, Some(dataset), organization, SAMPLE_DAY, 100)
            .await?;
    }
    let (api, api_url) = stack.spawn_api_with(binaries, KEYS).await?;
    let worker = stack.spawn_worker_with(binaries, KEYS).await?;
    let client = stack.client(&api_url, BAKERY)?;

    let mut config = CONFIG.to_owned();
    for place in ["COMPLETED_EXPORT", "DOOMED_EXPORT"] {
        let export = client
            .request(Dataset::Logs, FileKind::CsvGz, true, SAMPLE_DAY)
            .await?;
        client.completed(export, |_| ()).await?;
        config = config.replace(place, &export.to_string());
    }
    let dir = stack::directory("check-api");
    fs::write(dir.join("schemathesis.toml"), config)?;

    terminal::entry("Repeat it", format!("cargo xtask check-api --seed {seed}"));
    schemathesis
        .args(["--config-file", "schemathesis.toml"])
        .args(["run", &format!("{api_url}/openapi.json")])
        .arg(format!("--seed={seed}"))
        .arg(format!("--max-examples={}", args.examples))
        .env("API_TOKEN", client.token())
        .current_dir(dir);
    let status = cargo::status(&mut schemathesis).await?;
    worker.stop(GRACE).await?;
    api.stop(GRACE).await?;
    ensure!(
        status.success(),
        "the API is not as it is described; the same again: cargo xtask check-api --seed {seed}"
    );
    Ok(())
}
