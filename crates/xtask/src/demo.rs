//! The service at work: an export per format, each checked against ClickHouse, and its e-mail.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use devstack::{Mail, Mailbox};
use futures::future::try_join_all;
use indicatif::{BinaryBytes, HumanCount, MultiProgress, ProgressBar};
use serde_json::json;

use crate::cargo;
use crate::client::{Client, Download, FileKind, Job, JobFile};
use crate::layout::Layout;
use crate::preset::Dataset;
use crate::stack::{Product, SAMPLE_DAY};
use crate::tenants::BAKERY;
use crate::terminal::{self, Step, bar_style};
use crate::up;

const EXPORTS: [(Dataset, FileKind); 3] = [
    (Dataset::Logs, FileKind::CsvGz),
    (Dataset::Traces, FileKind::JsonGz),
    (Dataset::Metrics, FileKind::Parquet),
];
const BAR: &str = "  {prefix:<20} {bar:32.cyan/dim} {percent:>3}%  {msg:.dim}";
const MAIL_DEADLINE: Duration = Duration::from_secs(30);
const MAIL_POLL: Duration = Duration::from_millis(200);

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ends when everything was shown, with a failure if anything was wrong.
    #[arg(long)]
    once: bool,
    /// Sample rows of each kind of telemetry.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    #[command(flatten)]
    layout: Layout,
}

/// Shows everything, and stays up until Ctrl-C unless told otherwise.
pub(crate) async fn run(args: Args) -> Result<()> {
    terminal::heading("Starting the data export service");
    Product::with("demo", args.layout, args.rows, async |product| {
        let client = product.stack.client(&product.api_url, BAKERY)?;
        show(product, &client).await?;
        if args.once {
            return Ok(());
        }
        up::print_endpoints(product);
        print_curl(product, &client);
        up::stay_up().await
    })
    .await
}

async fn show(product: &Product, client: &Client) -> Result<()> {
    terminal::heading(&format!("Exporting a day of {}", BAKERY.name));
    let bars = MultiProgress::new();
    let exports = EXPORTS.map(|(dataset, kind)| {
        let bar = bars.add(ProgressBar::new(100).with_style(bar_style(BAR)));
        export(client, dataset, kind, bar)
    });
    let files = try_join_all(exports).await;
    bars.clear()?;
    let files = files?;
    for file in &files {
        terminal::line(true, &file.to_string(), file.elapsed);
    }

    terminal::heading(&format!("Checking the files in {}", files_dir().display()));
    for file in &files {
        check(product, file).await?;
    }

    let step = Step::begin("Wait for the e-mails");
    let mails = mails(&Mailbox::new(product.env.mailbox_url.clone()), files.len()).await?;
    step.done();
    print_mail(&mails[0]);
    Ok(())
}

/// Where the files stay when everything else is removed.
fn files_dir() -> PathBuf {
    cargo::target().join("demo")
}

/// A file that was exported and downloaded.
struct Exported {
    dataset: Dataset,
    kind: FileKind,
    file: JobFile,
    download: Download,
    elapsed: Duration,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("{} as {}", self.dataset.name(), self.kind.name());
        let rows = HumanCount(self.file.rows).to_string();
        let size = BinaryBytes(self.file.size_bytes).to_string();
        write!(f, "{title:<20} {rows:>12} rows {size:>12}")
    }
}

async fn export(
    client: &Client,
    dataset: Dataset,
    kind: FileKind,
    bar: ProgressBar,
) -> Result<Exported> {
    let started = Instant::now();
    bar.set_prefix(format!("{} as {}", dataset.name(), kind.name()));
    let id = client.request(dataset, kind, true, SAMPLE_DAY).await?;
    let report = |job: &Job| {
        bar.set_position(job.progress);
        bar.set_message(format!("{} rows", HumanCount(job.rows_exported)));
    };
    let file = client.completed(id, report).await?;
    let elapsed = started.elapsed();
    let download = client.download(id, &files_dir()).await?;
    bar.finish();
    Ok(Exported {
        dataset,
        kind,
        file,
        download,
        elapsed,
    })
}

/// Compares what was downloaded with what the job says, and, read by ClickHouse, with the table.
async fn check(product: &Product, exported: &Exported) -> Result<()> {
    let Exported {
        dataset,
        kind,
        file,
        download,
        ..
    } = exported;
    let name = &file.name;
    let step = Step::begin(name);
    let (path, sha256) = (download.path.display(), &download.sha256);
    ensure!(
        download.path.ends_with(name),
        "{name} is downloaded as {path}"
    );
    ensure!(
        download.bytes == file.size_bytes,
        "{name} has {} bytes",
        download.bytes
    );
    ensure!(*sha256 == file.sha256, "{name} has the SHA-256 {sha256}");

    let (clickhouse, preset) = (product.stack.clickhouse(), product.stack.preset());
    let expected = preset
        .count(&clickhouse, *dataset, BAKERY.organization, SAMPLE_DAY)
        .await?;
    let sql = format!(
        "SELECT count() FROM file('{path}', '{}')",
        kind.clickhouse_format()
    );
    let rows = clickhouse.number(&sql, &[]).await?;
    ensure!(expected > 0, "there is no sample data to compare with");
    ensure!(
        rows == expected,
        "{name} has {rows} rows, the table {expected}"
    );
    ensure!(
        file.rows == expected,
        "the job of {name} says {} rows, the table {expected}",
        file.rows
    );
    step.done();
    Ok(())
}

async fn mails(mailbox: &Mailbox, expected: usize) -> Result<Vec<Mail>> {
    let started = Instant::now();
    loop {
        let mails = mailbox.messages().await?;
        let addressed = mails
            .iter()
            .all(|mail| mail.to.iter().any(|to| to.contains(BAKERY.email)));
        ensure!(addressed, "an e-mail went to somebody else");
        if mails.len() == expected {
            return Ok(mails);
        }
        ensure!(
            mails.len() < expected && started.elapsed() < MAIL_DEADLINE,
            "{} e-mails came, not {expected}",
            mails.len()
        );
        tokio::time::sleep(MAIL_POLL).await;
    }
}

fn print_mail(mail: &Mail) {
    terminal::heading("One of the e-mails");
    terminal::entry("From", &mail.from);
    terminal::entry("To", mail.to.join(", "));
    terminal::entry("Subject", &mail.subject);
    println!();
    for line in mail.text.trim_end().lines() {
        println!("  │ {line}");
    }
}

fn print_curl(product: &Product, client: &Client) {
    let (url, token) = (&product.api_url, client.token());
    let body = json!({
        "data_type": "logs",
        "format": "json",
        "start_time": SAMPLE_DAY.start(),
        "end_time": SAMPLE_DAY.end(),
        "filters": { "severity_text": ["ERROR", "FATAL"] },
    });
    terminal::heading("Try it");
    println!("TOKEN={token}");
    println!(
        "curl -s {url}/api/v1/export -H \"Authorization: Bearer $TOKEN\" \\\n  \
         -H 'Content-Type: application/json' \\\n  -d '{body}'"
    );
}
