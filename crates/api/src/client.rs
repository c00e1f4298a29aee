//! Where a request came from, for the audit trail.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use domain::UserId;
use store::events::Actor;

use crate::app::App;

/// The client of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    ip: Option<IpAddr>,
    user_agent: Option<String>,
}

impl Client {
    /// Says for whom the client acts.
    pub fn acting_for(self, user: UserId) -> Actor {
        Actor {
            user,
            ip: self.ip,
            user_agent: self.user_agent,
        }
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| peer.ip().to_canonical());
        let ip = forwarded(&parts.headers, app.trusted_proxies).or(peer);
        let user_agent = parts
            .headers
            .get(USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Self { ip, user_agent })
    }
}

/// Reads the address that the outermost of `proxies` trusted proxies saw.
///
/// Each proxy appends the address that it saw, so everything further left was written by the
/// client and may be a lie.
fn forwarded(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let outermost = hops.len().checked_sub(proxies)?;
    hops.get(outermost)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::forwarded;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let name = HeaderName::from_static("x-forwarded-for");
        let header = |value: &&'static str| (name.clone(), HeaderValue::from_static(value));
        values.iter().map(header).collect()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let headers = headers(&["6.6.6.6, 203.0.113.7", "2001:db8::1"]);
        assert_eq!(forwarded(&headers, 0), None);
        assert_eq!(forwarded(&headers, 1), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(forwarded(&headers, 2), Some("203.0.113.7".parse().unwrap()));
        assert_eq!(forwarded(&headers, 4), None);
    }
}
