//! Where a request came from, for the audit trail.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderValue;
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
            user: Some(user),
            ..self.acting_for_nobody()
        }
    }

    /// Says that nobody knows for whom the client acts.
    pub fn acting_for_nobody(self) -> Actor {
        Actor {
            user: None,
            ip: self.ip,
            user_agent: self.user_agent,
        }
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self {
            ip: peer.map(|peer| app.proxies.client(peer.ip(), &parts.headers)),
            user_agent: parts.headers.get(USER_AGENT).map(readable),
        })
    }
}

/// Reads what a client calls itself; whoever shows it need not fear control characters in it.
fn readable(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::readable;

    #[test]
    fn a_name_has_no_control_characters() {
        let name = HeaderValue::from_bytes(b"curl/8\t\xc2\x9b31m\xff \xc3\xbc").unwrap();
        assert_eq!(readable(&name), "curl/831m\u{fffd} ü");
    }
}
