//! `export-worker`: takes export jobs and makes their files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use domain::WorkerId;
use runtime::metrics::Metrics;
use runtime::shutdown::Shutdown;
use runtime::traces::Traces;
use tikv_jemallocator::Jemalloc;
use uuid::Uuid;
use worker::config::Config;

/// Blocks of some megabytes come and go on many threads. glibc keeps what each thread has freed for
/// that thread, so a long export would need more memory than a short one; jemalloc gives it back,
/// as quickly as `.cargo/config.toml` says.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The name of this process.
const APPLICATION: &str = "export-worker";

/// Takes export jobs from Postgres and makes their files.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file over the built-in defaults (see config/default.toml).
    #[arg(long, env = "EXPORT_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Asks the running worker's health check; the exit status is the answer.
    Healthcheck,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::exit_code(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    runtime::tls::init();
    let config: Config = runtime::config::load(arguments.config.as_deref())?;
    if let Some(Command::Healthcheck) = arguments.command {
        return Ok(runtime::health::check(config.worker.listen).await?);
    }
    let traces = Traces::new(&config.traces, APPLICATION)?;
    runtime::logging::init(&config.log, &traces)?;
    let metrics = Metrics::install(APPLICATION)?;
    let shutdown = Shutdown::on_signals(config.worker.shutdown_grace())?;
    let ran = Box::pin(worker::service::run(config, worker_id(), metrics, shutdown)).await;
    traces.finish().await;
    ran
}

fn worker_id() -> WorkerId {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "worker".to_owned());
    let (random, ..) = Uuid::new_v4().as_fields();
    WorkerId::new(&host, std::process::id(), random)
}
