//! The other end of `GET /healthz`: what `healthcheck` of both binaries does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the process of this machine that listens on `listen` whether it is alive.
///
/// # Errors
///
/// When it does not answer within three seconds, or answers with an error.
pub async fn check(listen: SocketAddr) -> reqwest::Result<()> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("http://{}/healthz", SocketAddr::new(ip, listen.port()));
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        .build()?;
    client.get(url).send().await?.error_for_status()?;
    Ok(())
}
