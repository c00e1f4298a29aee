//! Shutdown in two steps: stop taking work, and, when the grace period is over, stop.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two tokens of a process that is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take no more work and finish what runs.
    pub soft: CancellationToken,
    /// Stop now, wherever the work is.
    pub hard: CancellationToken,
}

impl Shutdown {
    /// Follows SIGTERM and SIGINT: the first one cancels `soft`, and a second one, or the end of
    /// `grace`, cancels `hard`.
    ///
    /// # Errors
    ///
    /// When the signals cannot be listened to.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::default();
        let tokens = shutdown.clone();
        tokio::spawn(async move {
            any_of(&mut terminate, &mut interrupt).await;
            tracing::info!(grace_s = grace.as_secs(), "shutting down");
            tokens.soft.cancel();
            let _ = tokio::time::timeout(grace, any_of(&mut terminate, &mut interrupt)).await;
            tokens.hard.cancel();
        });
        Ok(shutdown)
    }
}

async fn any_of(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
