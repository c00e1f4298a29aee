//! The worker put together, from its configuration to its end.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::{SystemClock, WorkerId};
use notify::{Mailer, WebhookSender};
use queue::Wakeups;
use representation::Links;
use runtime::metrics::Metrics;
use runtime::shutdown::Shutdown;
use sink::Sink;
use source::{ClickHouse, LiveCatalogue, Preset};
use store::PgPool;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::claims::{ClaimLoop, Slots};
use crate::cleanup::Cleaner;
use crate::config::Config;
use crate::health::{self, Pulse};
use crate::metrics;
use crate::notifier::{EmailCourier, Notifier, WebhookCourier};
use crate::pipeline::{EncodePool, Pipeline};
use crate::run::Runner;
use crate::scheduler::Scheduler;

/// Runs the worker until it is told to stop and the jobs that run have ended. `counted` is what it
/// says to Prometheus.
///
/// # Errors
///
/// When the configuration makes no sense, a thread cannot be started, or the health check's
/// address is taken. A dependency that is down is no error: it is waited for.
pub async fn run(
    config: Config,
    owner: WorkerId,
    counted: Metrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    metrics::describe();
    let pool = store::connect_to_claim(&config.postgres, "export-worker").context("postgres")?;
    let sink = Sink::new(&config.s3).await.context("s3")?;
    let leavings = Arc::new(Notify::new());
    let (news, told) = watch::channel(());
    let (clock, pulse) = (Arc::new(SystemClock), Pulse::default());
    let (jobs, threads) = (config.worker.jobs.get(), config.pipeline.encode_threads());
    let (clickhouse, catalogue) = tables(&config)?;
    let wake_ups = Wakeups::connect(&config.redis).context("redis")?;
    let waiting = usize::try_from(jobs)? * config.pipeline.blocks_in_flight();

    let claims = ClaimLoop {
        pool: pool.clone(),
        owner: owner.clone(),
        lease: config.worker.lease(),
        alone_after: config.worker.max_deaths.get() - 1,
        limits: config.quotas.running(),
        slots: Slots::new(jobs),
        poll_interval: config.worker.poll_interval(),
        pulse: pulse.clone(),
        runner: Runner {
            pipeline: Pipeline {
                catalogue: catalogue.clone(),
                clickhouse,
                pool: EncodePool::start(threads, waiting).context("encoding threads")?,
                sink: sink.clone(),
                config: config.pipeline,
            },
            retry: config.retry,
            max_deaths: config.worker.max_deaths.get(),
            retention: Arc::new(config.retention),
            news,
            leavings: Arc::clone(&leavings),
            wake_ups: wake_ups.clone(),
            shutdown: shutdown.clone(),
        },
    };
    let cleaner = Cleaner {
        pool: pool.clone(),
        sink: sink.clone(),
        config: config.cleanup,
        wake: leavings,
    };
    let scheduler = Scheduler {
        pool: pool.clone(),
        catalogue: catalogue.clone(),
        quotas: config.quotas,
        wake_ups,
        config: config.schedules,
    };
    let links = Links::new(config.http.public_url.as_ref());
    let mails = Notifier {
        pool: pool.clone(),
        courier: EmailCourier {
            pool: pool.clone(),
            sink,
            links: links.clone(),
            mailer: Mailer::new(&config.smtp).context("smtp")?,
            clock: clock.clone(),
        },
        config: config.notifications.clone(),
        wake: told.clone(),
    };
    let calls = Notifier {
        pool,
        courier: WebhookCourier {
            sender: WebhookSender::new(&config.notify).context("notify")?,
            links,
            clock,
        },
        config: config.notifications,
        wake: told,
    };

    let (wake, awake) = mpsc::channel(1);
    let Shutdown { soft, hard } = &shutdown;
    tracing::info!(jobs, threads = threads.get(), "export-worker started");
    let served = health::serve(config.worker.listen, pulse, counted, soft.clone());
    let healthy = async { served.await.context("health check") };
    let notifying = async {
        let both = async { tokio::join!(mails.run(soft.clone()), calls.run(soft.clone())) };
        // A server that hangs: it is told again, under the same id.
        hard.run_until_cancelled(Box::pin(both)).await;
    };
    let working = async {
        wait_for_schema(&claims.pool, &claims.pulse, claims.poll_interval, soft).await;
        tokio::join!(
            claims.run(awake, soft.clone()),
            scheduler.run(soft.clone()),
            soft.run_until_cancelled(catalogue.follow(config.datasets.look_interval())),
            hard.run_until_cancelled(cleaner.run(soft.clone())),
            cleaner.sweep(soft.clone()),
            notifying,
            queue::consume(&config.redis, &owner, soft.clone(), wake),
        );
        Ok(())
    };
    tokio::try_join!(healthy, working)?;
    tracing::info!("export-worker stopped");
    Ok(())
}

/// Waits until the database has the schema of this version, or for `stop`.
async fn wait_for_schema(
    pool: &PgPool,
    pulse: &Pulse,
    poll_interval: Duration,
    stop: &CancellationToken,
) {
    let mut told = String::new();
    while let Err(error) = store::check_schema(pool).await {
        pulse.beat();
        pulse.set_remedy(error.remedy());
        if told != error.to_string() {
            tracing::warn!(
                error = &error as &dyn Error,
                "the worker waits for the database"
            );
            told = error.to_string();
        }
        tokio::select! {
            () = tokio::time::sleep(poll_interval) => {}
            () = stop.cancelled() => return,
        }
    }
    pulse.set_remedy(None);
}

/// Returns where rows come from, and what can be exported.
fn tables(config: &Config) -> anyhow::Result<(ClickHouse, LiveCatalogue)> {
    let clickhouse = ClickHouse::new(&config.clickhouse).context("clickhouse")?;
    let preset = Preset::from_config(&config.datasets).context("datasets")?;
    Ok((clickhouse.clone(), LiveCatalogue::new(preset, clickhouse)))
}
