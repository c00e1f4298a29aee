//! A proxy before any server that a URL names.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use devstack::Proxy;
use reqwest::Url;

/// Starts a proxy before the server of `url`, and returns the URL through it.
///
/// # Errors
///
/// When the URL names no address and port, or no port is free.
pub async fn proxy_before(url: &str) -> Result<(Proxy, String)> {
    let mut url = Url::parse(url)?;
    let host = url.host_str().context("a host")?;
    let target: SocketAddr = format!("{host}:{}", url.port().context("a port")?).parse()?;
    let proxy = Proxy::start(target).await?;
    url.set_port(Some(proxy.addr().port()))
        .ok()
        .context("a URL with a port")?;
    Ok((proxy, url.into()))
}
