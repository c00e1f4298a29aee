//! What the handlers share.

use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use notify::Webhooks;
use queue::{Pushed, Wakeups};
use representation::Links;
use runtime::chain;
use runtime::metrics::Metrics;
use runtime::shutdown::Shutdown;
use sink::Sink;
use source::{ClickHouse, LiveCatalogue, Preset};
use store::quotas::QuotasConfig;
use store::{PgPool, StoreError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span, warn};

use crate::auth::Verifier;
use crate::config::{Config, LimitsConfig};
use crate::estimate::Estimator;
use crate::proxies::Proxies;
use crate::rate::RateLimits;
use crate::scrape::Scrape;
use crate::watch::Watchers;

/// What the handlers share. It is cloned several times for each request; a clone counts a reference.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// The parts of an [`App`].
pub struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) wakeups: Wakeups,
    pub(crate) sink: Sink,
    pub(crate) catalogue: LiveCatalogue,
    pub(crate) estimator: Estimator,
    pub(crate) verifier: Verifier,
    pub(crate) limits: LimitsConfig,
    pub(crate) quotas: QuotasConfig,
    pub(crate) rates: RateLimits,
    pub(crate) webhooks: Webhooks,
    pub(crate) links: Links,
    pub(crate) watchers: Watchers,
    pub(crate) proxies: Proxies,
    pub(crate) ready_timeout: Duration,
    tasks: TaskTracker,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Everything in the configuration that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong:\n  {}", .0.join("\n  "))]
pub struct SetupError(Vec<String>);

impl App {
    /// Prepares everything; connects to nothing, so that the service starts whatever is down.
    /// `name` is what Postgres calls this process. Whoever waits for something is let go at the soft
    /// end of `shutdown`.
    ///
    /// # Errors
    ///
    /// Everything in the configuration that makes no sense.
    pub async fn new(config: &Config, name: &str, shutdown: &Shutdown) -> Result<Self, SetupError> {
        let mut problems = Vec::new();
        let parts = (
            sound(
                store::connect(&config.postgres, name),
                "postgres",
                &mut problems,
            ),
            sound(Wakeups::connect(&config.redis), "redis", &mut problems),
            sound(Sink::new(&config.s3).await, "s3", &mut problems),
            sound(
                Preset::from_config(&config.datasets),
                "datasets",
                &mut problems,
            ),
            sound(
                ClickHouse::new(&config.clickhouse),
                "clickhouse",
                &mut problems,
            ),
            sound(Verifier::new(&config.auth), "auth", &mut problems),
        );
        let (Some(pool), Some(wakeups), Some(sink), Some(preset), Some(clickhouse), Some(verifier)) =
            parts
        else {
            return Err(SetupError(problems));
        };
        let links = Links::new(config.http.public_url.as_ref());
        let tasks = TaskTracker::new();
        let watchers = Watchers::new(
            config.http.max_watchers,
            pool.clone(),
            links.clone(),
            tasks.clone(),
            shutdown.soft.clone(),
        );
        Ok(Self(Arc::new(Shared {
            pool,
            wakeups,
            sink,
            catalogue: LiveCatalogue::new(preset, clickhouse.clone()),
            estimator: Estimator::new(clickhouse, config.estimate),
            verifier,
            limits: config.limits,
            quotas: config.quotas.clone(),
            rates: RateLimits::new(config.rate_limit),
            webhooks: Webhooks::new(&config.notify),
            links,
            watchers,
            proxies: Proxies::new(&config.http),
            ready_timeout: Duration::from_millis(config.http.ready_timeout_ms),
            tasks,
        })))
    }

    /// Wakes a worker for a job that has been committed. Nobody waits for it, and that it fails
    /// costs a delay only: workers also look into Postgres.
    pub(crate) fn wake(&self, job: JobId) {
        let app = self.clone();
        let wake = async move {
            match app.wakeups.push(job).await {
                Ok(Pushed::Queued) => {
                    if let Err(error) = mark_dispatched(&app.pool, job).await {
                        warn!(error = &error as &dyn Error, "could not note a wake-up");
                    }
                }
                Ok(Pushed::Skipped) => debug!("the queue is long enough"),
                Err(error) => {
                    warn!(error = &error as &dyn Error, "could not wake a worker");
                }
            }
        };
        let span = info_span!("job.wake", job.id = %job);
        self.tasks.spawn(wake.instrument(span));
    }

    /// Prepares the answer to Prometheus: what was counted, and how the queue is.
    pub fn scrape(&self, counted: Metrics) -> Scrape {
        Scrape::new(counted, self.pool.clone(), self.quotas.running())
    }

    /// Follows the tables of ClickHouse in the background, until `stop`.
    pub fn follow_tables(&self, interval: Duration, stop: CancellationToken) {
        let app = self.clone();
        self.tasks.spawn(async move {
            let following = app.catalogue.follow(interval);
            stop.run_until_cancelled(following).await;
        });
    }

    /// Waits until it is known which tables there are, or ClickHouse has had its time to say so.
    pub async fn know_tables(&self) {
        // Whoever follows the tables tells why they are not known.
        let _ = timeout(self.ready_timeout, self.catalogue.looked()).await;
    }

    /// Waits for what goes on in the background. To be called when no request is served anymore.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Keeps what a section makes, or what is wrong with it.
fn sound<T>(made: Result<T, impl Error>, section: &str, problems: &mut Vec<String>) -> Option<T> {
    made.map_err(|error| problems.push(format!("{section}: {}", chain(&error))))
        .ok()
}

async fn mark_dispatched(pool: &PgPool, job: JobId) -> Result<(), StoreError> {
    let mut connection = store::acquire(pool).await?;
    store::jobs::mark_dispatched(&mut connection, job).await
}
