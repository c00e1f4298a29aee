//! What the worker says of itself: `GET /healthz` for the orchestrator, `GET /metrics` for Prometheus.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use runtime::metrics::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Remembers when the claim loop was last seen at work.
#[derive(Clone, Debug)]
pub struct Pulse {
    started: Instant,
    last_beat_ms: Arc<AtomicU64>,
    remedy: Arc<Mutex<Option<&'static str>>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last_beat_ms: Arc::default(),
            remedy: Arc::default(),
        }
    }
}

impl Pulse {
    /// Says that the loop goes round.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_beat_ms.store(elapsed, Ordering::Relaxed);
    }

    /// Says what an operator has to do before there is work, or nothing.
    pub fn set_remedy(&self, remedy: Option<&'static str>) {
        *self.remedy.lock().unwrap_or_else(PoisonError::into_inner) = remedy;
    }

    fn remedy(&self) -> Option<&'static str> {
        *self.remedy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last_beat_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last)
    }
}

/// The longest that the loop may be silent: many times what one round takes.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// Serves `GET /healthz`, 200 while the loop goes round and 503 when it hangs or the database is not
/// migrated, and `GET /metrics`, until `stop`.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn serve(
    listen: SocketAddr,
    pulse: Pulse,
    metrics: Metrics,
    stop: CancellationToken,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(async move || metrics.scrape()))
        .route("/healthz", get(healthz))
        .with_state(pulse);
    let listener = TcpListener::bind(listen).await?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn healthz(State(pulse): State<Pulse>) -> (StatusCode, &'static str) {
    if let Some(remedy) = pulse.remedy() {
        (StatusCode::SERVICE_UNAVAILABLE, remedy)
    } else if pulse.silence() < LONGEST_SILENCE {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the claim loop hangs\n")
    }
}
