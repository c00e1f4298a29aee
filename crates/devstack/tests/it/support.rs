//! What the tests share.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Client;

/// Polls until `done` says so.
pub(crate) async fn eventually(what: &str, done: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done().await? {
        ensure!(
            started.elapsed() < Duration::from_secs(20),
            "still not so: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Makes an HTTP client without any policy of its own.
pub(crate) fn http() -> Result<Client> {
    // Fails when another test has done it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::builder().no_proxy().build()?)
}
