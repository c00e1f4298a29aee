//! Sends the notifications that are due, on a schedule of their own that no job waits for.

mod email;
mod places;
mod webhook;

use std::error::Error;
use std::time::{Duration, Instant};

use domain::Classify;
use futures::{StreamExt, stream};
use runtime::{chain, traces};
use store::notifications::{self, Channel, DueNotification};
use store::{PgPool, StoreError, acquire};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use crate::config::NotificationConfig;
use crate::deadline::until;
use crate::retry::Verdict;

use places::{Place, Places};

pub use email::EmailCourier;
pub use webhook::WebhookCourier;

/// What takes the notifications of one channel to where they go.
pub trait Courier {
    /// Why one did not arrive.
    type Error: Classify + 'static;

    /// The channel.
    const CHANNEL: Channel;
    /// How many may be on their way at the same moment.
    const AT_ONCE: usize;
    /// How many of them may be of one organization.
    const OF_ONE_ORGANIZATION: usize;

    /// Delivers one.
    fn deliver(&self, due: &DueNotification) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Sends the notifications of one channel.
pub struct Notifier<C> {
    /// Where notifications are.
    pub pool: PgPool,
    /// The way to whom they are for.
    pub courier: C,
    /// When to look, and when to try again.
    pub config: NotificationConfig,
    /// Told when a job has ended in this process.
    pub wake: watch::Receiver<()>,
}

/// A notification, and when another process may take it.
struct Claimed<'a> {
    due: DueNotification,
    until: Instant,
    _place: Place<'a>,
}

impl<C: Courier> Notifier<C> {
    /// Sends what is due until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let places = Places::default();
        let (this, stop, places) = (&self, &stop, &places);
        let due = stream::unfold(self.wake.clone(), move |mut wake| async move {
            let claimed = this.next(&mut wake, stop, places).await?;
            Some((claimed, wake))
        });
        due.for_each_concurrent(C::AT_ONCE, |claimed| async move {
            if let Err(error) = this.send(&claimed).await {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "the outcome of a notification could not be noted"
                );
            }
        })
        .await;
    }

    /// Waits until a notification is due, and takes it; nothing at `stop`.
    async fn next<'a>(
        &self,
        wake: &mut watch::Receiver<()>,
        stop: &CancellationToken,
        places: &'a Places,
    ) -> Option<Claimed<'a>> {
        while !stop.is_cancelled() {
            match self.claim(places).await {
                Ok(Some(claimed)) => return Some(claimed),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "notifications have to wait");
                }
            }
            tokio::select! {
                // Its other end is there for as long as jobs run, and after that comes `stop`.
                Ok(()) = wake.changed() => {}
                () = places.freed() => {}
                () = tokio::time::sleep(Duration::from_millis(self.config.poll_interval_ms.get())) => {}
                () = stop.cancelled() => {}
            }
        }
        None
    }

    async fn claim<'a>(&self, places: &'a Places) -> Result<Option<Claimed<'a>>, StoreError> {
        let lease = Duration::from_secs(self.config.lease_s.get());
        let until = Instant::now() + lease;
        let full = places.full(C::OF_ONE_ORGANIZATION);
        let mut conn = acquire(&self.pool).await?;
        let due = notifications::claim_due(&mut conn, C::CHANNEL, lease, &full).await?;
        Ok(due.map(|due| Claimed {
            _place: places.take(due.job.organization),
            due,
            until,
        }))
    }

    /// Sends a notification and notes how that went.
    async fn send(&self, claimed: &Claimed<'_>) -> Result<(), StoreError> {
        let due = &claimed.due;
        let (channel, job) = (C::CHANNEL.as_str(), due.job.id);
        let span = tracing::info_span!(
            "notification.send",
            channel,
            job.id = %job,
            notification.id = %due.id,
            attempt = due.attempts,
            otel.kind = "client",
            otel.status_code = Empty,
        );
        traces::follow(&span, due.job.trace.as_ref());
        let delivery = Box::pin(self.courier.deliver(due).instrument(span.clone()));
        let Some(delivered) = until(claimed.until, delivery).await else {
            tracing::warn!(channel, job.id = %job, notification.id = %due.id, "left to another worker");
            return Ok(());
        };
        let mut conn = acquire(&self.pool).await?;
        let Err(error) = delivered else {
            notifications::sent(&mut conn, due).await?;
            tracing::info!(channel, job.id = %job, notification.id = %due.id, "notified");
            return Ok(());
        };
        span.record("otel.status_code", "ERROR");
        let retry = &self.config.retry;
        let verdict = retry.judge(error.class(), error.code().into(), job, due.attempts);
        tracing::warn!(
            channel, job.id = %job, notification.id = %due.id, attempt = due.attempts,
            error = &error as &dyn Error, ?verdict, "not notified"
        );
        let cause = chain(&error);
        match verdict {
            Verdict::Retry(delay) => notifications::retry(&mut conn, due, delay, &cause).await,
            Verdict::Fail(_) | Verdict::Release => {
                notifications::give_up(&mut conn, due, &cause).await
            }
        }
    }
}
