//! Exports against what one would type into a shell: `curl … | pigz`, and an upload.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use devstack::setup;
use indicatif::HumanCount;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::bench::{fill, median, on_stack, save};
use crate::cargo::Binaries;
use crate::client::FileKind;
use crate::preset::{Dataset, Day};
use crate::stack::{GRACE, Stack};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step};

const DAY: Day = Day(1);

/// ClickHouse's CSV, packed on all cores, uploaded once its size is known. The statement comes from
/// standard input.
const PIPELINE: &str = r#"
set -o errexit -o pipefail
curl --silent --show-error --fail --data-binary @- --header "X-ClickHouse-User: $CLICKHOUSE_USER" \
    --header "X-ClickHouse-Key: $CLICKHOUSE_PASSWORD" "$CLICKHOUSE_URL" | pigz > "$FILE"
curl --silent --show-error --fail --upload-file "$FILE" --user "$S3_USER" --aws-sigv4 aws:amz:us-east-1:s3 \
    --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$S3_URL"
"#;

/// The arguments of `bench shell`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Log rows of each export.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// How often each of the two exports.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

/// Both exports of the same rows as csv.gz, in turns.
#[derive(Debug, Serialize)]
struct Comparison {
    rows: u64,
    ours_s: Vec<f64>,
    shell_s: Vec<f64>,
    /// The median of ours in proportion to the shell's, pair by pair.
    ratio: f64,
}

/// Measures, prints a line, and writes it to `target/bench/shell.json`.
pub(crate) async fn run(args: &Args) -> Result<()> {
    terminal::heading("Measuring exports against curl and pigz");
    ensure!(args.pairs > 0, "there must be pairs");
    setup::install_packages(&["curl", "pigz"]).await?;
    let comparison = on_stack(async |stack, binaries| measure(stack, binaries, args).await).await?;
    println!(
        "\n  {} rows as csv.gz: {:.2} s, the shell {:.2} s, ratio {:.2} (medians of pairs)",
        HumanCount(args.rows),
        median(comparison.ours_s.clone()),
        median(comparison.shell_s.clone()),
        comparison.ratio
    );
    save("shell", &comparison)
}

async fn measure(stack: &Stack, binaries: &Binaries, args: &Args) -> Result<Comparison> {
    fill(stack, Dataset::Logs, DAY, args.rows).await?;
    let (api, api_url) = stack.spawn_api(binaries).await?;
    let worker = stack.spawn_worker(binaries).await?;
    let client = stack.client(&api_url, BAKERY)?;
    let step = Step::begin(format!("Export as csv.gz, {} pairs", args.pairs));
    let (mut ours_s, mut shell_s) = (Vec::new(), Vec::new());
    for pair in 0..=args.pairs {
        step.note(format!("{pair} of {}", args.pairs));
        let started = Instant::now();
        shell(stack).await?;
        let shell = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let id = client
            .request(Dataset::Logs, FileKind::CsvGz, false, DAY)
            .await?;
        let file = client.completed(id, |_| ()).await?;
        let ours = started.elapsed().as_secs_f64();
        ensure!(file.rows == args.rows, "the file has {} rows", file.rows);
        // The first pair warms caches.
        if pair > 0 {
            shell_s.push(shell);
            ours_s.push(ours);
        }
    }
    step.done();
    worker.stop(GRACE).await?;
    api.stop(GRACE).await?;
    let pairs = ours_s.iter().zip(&shell_s);
    Ok(Comparison {
        rows: args.rows,
        ratio: median(pairs.map(|(ours, shell)| ours / shell).collect()),
        ours_s,
        shell_s,
    })
}

async fn shell(stack: &Stack) -> Result<()> {
    let env = stack.env();
    let dir = tempfile::tempdir()?;
    let mut clickhouse = reqwest::Url::parse(&env.clickhouse_url)?;
    clickhouse
        .query_pairs_mut()
        .append_pair("database", &env.clickhouse_database)
        .append_pair("param_organization", &BAKERY.organization.to_string())
        .append_pair("param_start", &DAY.start_sql());
    let select = stack.preset().select(Dataset::Logs, false);
    let statement = format!("{select}\nFORMAT {}", FileKind::CsvGz.clickhouse_format());
    let s3 = &env.s3;
    let mut pipeline = Command::new("bash")
        .args(["-c", PIPELINE])
        .env("CLICKHOUSE_URL", clickhouse.as_str())
        .env("CLICKHOUSE_USER", &env.clickhouse_user)
        .env("CLICKHOUSE_PASSWORD", &env.clickhouse_password)
        .env("FILE", dir.path().join("logs.csv.gz"))
        .env("S3_USER", format!("{}:{}", s3.access_key, s3.secret_key))
        .env(
            "S3_URL",
            format!("{}/{}/shell.csv.gz", s3.endpoint, s3.bucket),
        )
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = pipeline.stdin.take().context("the shell has an input")?;
    stdin.write_all(statement.as_bytes()).await?;
    drop(stdin);
    let status = pipeline.wait().await?;
    if !status.success() {
        bail!("the shell ends with {status}");
    }
    Ok(())
}
