//! The whole stack and both binaries, for any client to be pointed at.

use std::future;

use anyhow::Result;

use crate::interrupt::{Interrupted, or_interrupted};
use crate::layout::Layout;
use crate::stack::{self, Product};
use crate::tenants::{BAKERY, FERRY};
use crate::terminal;

/// The arguments of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sample rows of each kind of telemetry.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    #[command(flatten)]
    layout: Layout,
}

/// Starts everything and waits for Ctrl-C.
pub(crate) async fn run(args: Args) -> Result<()> {
    terminal::heading("Starting the data export service");
    Product::with("up", args.layout, args.rows, async |product| {
        print_endpoints(product);
        stay_up().await
    })
    .await
}

/// Says where everything listens.
pub(crate) fn print_endpoints(product: &Product) {
    let env = &product.env;
    terminal::heading("Listening");
    terminal::entry("API", &product.api_url);
    terminal::entry("ClickHouse", &env.clickhouse_url);
    terminal::entry("PostgreSQL", &env.postgres_url);
    terminal::entry("Redis", &env.redis_url);
    terminal::entry("S3", format!("{}/{}", env.s3.endpoint, env.s3.bucket));
    terminal::entry("SMTP", format!("{}:{}", env.smtp.host, env.smtp.port));
    terminal::entry("Mailbox", &env.mailbox_url);
    terminal::entry("All of it", stack::env_file().display());

    terminal::heading("Organizations");
    for tenant in [BAKERY, FERRY] {
        terminal::entry(
            tenant.name,
            format!(
                "--organization {} --user {}",
                tenant.organization, tenant.user
            ),
        );
    }
}

/// Waits for Ctrl-C, which is how a command that stays up ends well.
pub(crate) async fn stay_up() -> Result<()> {
    println!("\nUp until Ctrl-C.");
    match or_interrupted(future::pending()).await {
        Err(error) if error.is::<Interrupted>() => Ok(()),
        outcome => outcome,
    }
}
