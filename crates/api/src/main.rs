//! `export-api`: serves the HTTP API, brings the database up to date, or asks a running one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use api::{App, Config};
use clap::{Parser, Subcommand};
use runtime::logging::LogConfig;
use runtime::metrics::Metrics;
use runtime::shutdown::Shutdown;
use runtime::traces::Traces;
use serde::Deserialize;
use store::PostgresConfig;
use tokio::net::TcpListener;
use tracing::info;

/// The name of this process in Postgres.
const APPLICATION: &str = "export-api";

/// The HTTP service of the data export.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// A TOML file over the defaults; variables such as `EXPORT__HTTP__LISTEN` are over both.
    #[arg(long, env = "EXPORT_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Serves requests until SIGTERM; the default.
    Serve,
    /// Brings the database up to date, and exits.
    Migrate,
    /// Asks the service on this machine whether it lives; exits with 0 or 1.
    Healthcheck,
}

/// What `migrate` needs to know.
#[derive(Debug, Deserialize)]
struct MigrateConfig {
    log: LogConfig,
    postgres: PostgresConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::exit_code(run(Cli::parse()).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    runtime::tls::init();
    let file = cli.config.as_deref();
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&runtime::config::load(file)?).await,
        Command::Migrate => migrate(&runtime::config::load(file)?).await,
        Command::Healthcheck => {
            let config: Config = runtime::config::load(file)?;
            Ok(runtime::health::check(config.http.listen).await?)
        }
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let traces = Traces::new(&config.traces, APPLICATION)?;
    runtime::logging::init(&config.log, &traces)?;
    let metrics = Metrics::install(APPLICATION)?;
    let shutdown = Shutdown::on_signals(Duration::from_secs(config.http.shutdown_grace_s))?;
    let app = App::new(config, APPLICATION, &shutdown).await?;
    app.follow_tables(config.datasets.look_interval(), shutdown.soft.clone());
    let known = app.know_tables();
    shutdown.soft.run_until_cancelled(known).await;
    let listener = listen(config.http.listen).await?;
    let for_metrics = listen(config.http.metrics_listen).await?;
    info!(
        address = %listener.local_addr()?,
        metrics_address = %for_metrics.local_addr()?,
        "listening"
    );
    tokio::spawn(
        app.scrape(metrics)
            .serve(for_metrics, shutdown.hard.clone()),
    );
    let router = api::router(app.clone(), &config.http);
    api::serve(listener, router, &config.http, &shutdown).await;
    shutdown.hard.run_until_cancelled(app.finish()).await;
    info!("stopped");
    traces.finish().await;
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}"))
}

async fn migrate(config: &MigrateConfig) -> anyhow::Result<()> {
    runtime::logging::init(&config.log, &Traces::default())?;
    store::migrate(&config.postgres).await?;
    info!("the database is up to date");
    Ok(())
}
