//! What the journeys share: a world with two organizations, and clients as users have them.

mod api;
mod audit;
mod clickhouse;
mod collector;
mod metrics;
mod proxy;
mod world;

pub use api::{Api, Download, Job, token, whole_request};
pub use clickhouse::ClickHouse;
pub use collector::{Collector, Span};
pub use metrics::{Family, Scrape};
pub use proxy::proxy_before;
pub use world::{ADMIN, MEMBER, Tenant, World, migrate};

use std::time::Duration;

/// How long a journey waits for what must happen.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until `condition` gives a value.
///
/// # Errors
///
/// That of `condition`, or that [`PATIENCE`] is over, with `what` was waited for.
pub async fn eventually<T>(
    what: &str,
    mut condition: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = std::time::Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(value) = condition().await? {
            return Ok(value);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("waited in vain for {what}")
}
