//! The worker put together, from its configuration to its end.

use std::sync::Arc;

use anyhow::Context;
use domain::{SystemClock, WorkerId};
use notify::Mailer;
use queue::Wakeups;
use runtime::metrics::Metrics;
use runtime::shutdown::Shutdown;
use sink::Sink;
use source::{Catalogue, ClickHouse};
use tokio::sync::{Notify, mpsc};

use crate::claims::{ClaimLoop, Slots};
use crate::cleanup::Cleaner;
use crate::config::Config;
use crate::health::{self, Pulse};
use crate::metrics;
use crate::notifier::Notifier;
use crate::pipeline::{EncodePool, Pipeline};
use crate::run::Runner;

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
    let pool = store::connect(&config.postgres, "export-worker").context("postgres")?;
    let sink = Sink::new(&config.s3).await.context("s3")?;
    let (mail, leavings) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let pulse = Pulse::default();
    let jobs = config.worker.jobs.get();
    let threads = config.pipeline.encode_threads();
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
                catalogue: Arc::new(Catalogue::from_config(&config.datasets).context("datasets")?),
                clickhouse: ClickHouse::new(&config.clickhouse).context("clickhouse")?,
                pool: EncodePool::start(threads, waiting).context("encoding threads")?,
                sink: sink.clone(),
                config: config.pipeline,
            },
            retry: config.retry,
            max_deaths: config.worker.max_deaths.get(),
            retention: Arc::new(config.retention),
            mail: Arc::clone(&mail),
            leavings: Arc::clone(&leavings),
            wake_ups: Wakeups::connect(&config.redis).context("redis")?,
            shutdown: shutdown.clone(),
        },
    };
    let cleaner = Cleaner {
        pool: pool.clone(),
        sink: sink.clone(),
        config: config.cleanup,
        wake: leavings,
    };
    let notifier = Notifier {
        pool,
        sink,
        mailer: Mailer::new(&config.smtp).context("smtp")?,
        public_url: config.http.public_url,
        config: config.notifications,
        wake: mail,
        clock: Arc::new(SystemClock),
    };

    let (wake, wake_ups) = mpsc::channel(1);
    let Shutdown { soft, hard } = &shutdown;
    tracing::info!(jobs, threads = threads.get(), "export-worker started");
    let healthy = async {
        let served = health::serve(config.worker.listen, pulse, counted, soft.clone());
        served.await.context("health check")
    };
    let notifying = async {
        tokio::select! {
            () = notifier.run(soft.clone()) => {}
            // A mail server that hangs: the e-mail is sent again, under the same Message-ID.
            () = hard.cancelled() => {}
        }
    };
    let working = async {
        tokio::join!(
            claims.run(wake_ups, soft.clone()),
            cleaner.run(soft.clone()),
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
