//! Ctrl-C and SIGTERM end a command in order: what it started is stopped before it exits.

use std::fmt;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Somebody pressed Ctrl-C, or the process got a SIGTERM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Drives `work` to its end, or drops it at a signal and fails with [`Interrupted`].
///
/// From the first call on, the signals no longer end the process by themselves.
pub(crate) async fn or_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The work first: what waits for the same signals inside it decides what they mean.
    tokio::select! {
        biased;
        outcome = work => outcome,
        _ = interrupt.recv() => Err(Interrupted.into()),
        _ = terminate.recv() => Err(Interrupted.into()),
    }
}
