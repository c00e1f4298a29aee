//! `GET /metrics`, on a listener of its own, so that it is not public: what this process has counted,
//! and how the queue is.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use runtime::metrics::Metrics;
use store::jobs::Queue;
use store::quotas::RunningLimits;
use store::{PgPool, StoreError};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::metrics;

/// For how long what Postgres has said of the queue is believed, however often somebody asks.
const FRESH: Duration = Duration::from_secs(5);

/// How long a scrape waits for Postgres; Prometheus itself waits ten seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers Prometheus. Clones share what they know.
#[derive(Clone)]
pub struct Scrape {
    counted: Metrics,
    pool: PgPool,
    limits: RunningLimits,
    /// When Postgres was asked last. Held while it is, so that it is never asked twice at once.
    asked: Arc<Mutex<Option<Instant>>>,
}

impl Scrape {
    /// Prepares the answer of what was counted, and of the queue in a database, from which workers take
    /// jobs within `limits`.
    pub(crate) fn new(counted: Metrics, pool: PgPool, limits: RunningLimits) -> Self {
        metrics::describe();
        Self {
            counted,
            pool,
            limits,
            asked: Arc::default(),
        }
    }

    /// Serves `GET /metrics` until `stop`.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let routes = Router::new()
            .route("/metrics", get(scrape))
            .with_state(self);
        axum::serve(listener, routes)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }

    async fn look_at_queue(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return;
        }
        let queue: Result<Queue, Box<dyn Error>> =
            match tokio::time::timeout(PATIENCE, self.queue()).await {
                Ok(queue) => queue.map_err(Into::into),
                Err(elapsed) => Err(elapsed.into()),
            };
        *asked = Some(Instant::now());
        metrics::queue(queue.as_ref().ok());
        if let Err(error) = queue {
            warn!(error = &*error, "could not look at the queue");
        }
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        let mut connection = store::acquire(&self.pool).await?;
        store::jobs::queue(&mut connection, &self.limits).await
    }
}

async fn scrape(State(scrape): State<Scrape>) -> impl IntoResponse {
    scrape.look_at_queue().await;
    scrape.counted.scrape()
}
