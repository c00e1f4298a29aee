//! Whom the proxies in front of the service say that they serve, as far as they can be believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use serde::Deserialize;

use crate::config::HttpConfig;

/// The header to which each proxy appends the address that it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// Addresses between commas, a convention.
    XForwardedFor,
    /// Elements with a parameter `for`, RFC 7239.
    Forwarded,
}

/// The proxies in front of the service.
#[derive(Debug)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    header: ForwardedHeader,
}

impl Proxies {
    /// Reads the configuration.
    pub(crate) fn new(config: &HttpConfig) -> Self {
        Self {
            trusted: config.trusted_proxies.clone(),
            header: config.forwarded_header,
        }
    }

    /// Returns the address of the client whose request came from `peer`.
    ///
    /// Each address was written by the one to the right of it, the last by `peer`: they are believed
    /// from the right, as long as whoever wrote is trusted. What a client writes itself stands left
    /// of its own address.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let name = match self.header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        };
        let values = headers.get_all(name).iter().rev();
        for node in values.flat_map(|value| self.nodes(value)) {
            match node {
                Some(address) if self.trust(client) => client = address,
                _ => break,
            }
        }
        client
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }

    /// Reads a header from the right; what is no address is nothing.
    fn nodes(&self, value: &HeaderValue) -> Vec<Option<IpAddr>> {
        let elements = split_from_right(value.to_str().unwrap_or_default(), ',');
        let node = |element: &str| match self.header {
            ForwardedHeader::XForwardedFor => address(element),
            ForwardedHeader::Forwarded => forwarded_for(element),
        };
        elements.into_iter().map(node).collect()
    }
}

/// Reads the `for` of an element (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut parameters = split_from_right(element, ';').into_iter();
    parameters
        .find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then_some(value)
        })
        .and_then(|value| address(value.trim().trim_matches('"')))
}

/// Reads an address, with or without a port.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let bare = node
        .strip_prefix('[')
        .and_then(|node| node.strip_suffix(']'));
    let address = match node.parse::<SocketAddr>() {
        Ok(socket) => socket.ip(),
        Err(_) => bare.unwrap_or(node).parse().ok()?,
    };
    Some(address.to_canonical())
}

/// Splits a text at the separators that are in no quoted string, from the right, so that nothing
/// that the client wrote on the left changes how the right is read.
fn split_from_right(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut end, mut quoted) = (Vec::new(), text.len(), false);
    for (at, found) in text.rmatch_indices(['"', separator]) {
        if found == "\"" {
            let backslashes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\');
            quoted ^= backslashes.count() % 2 == 0;
        } else if !quoted {
            parts.push(&text[at + 1..end]);
            end = at;
        }
    }
    parts.push(&text[..end]);
    parts
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{ForwardedHeader, Proxies};

    const PROXY: &str = "10.0.0.1";

    fn client(header: ForwardedHeader, peer: &str, values: &[&str]) -> String {
        let proxies = Proxies {
            trusted: ["10.0.0.0/8", "fd00::/8"]
                .map(|net| net.parse().unwrap())
                .into(),
            header,
        };
        let name = HeaderName::from_static(match header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        });
        let line = |value: &&str| (name.clone(), HeaderValue::from_str(value).unwrap());
        let headers: HeaderMap = values.iter().map(line).collect();
        let peer: IpAddr = peer.parse().unwrap();
        proxies.client(peer, &headers).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let seen = |peer, values| client(ForwardedHeader::XForwardedFor, peer, values);
        assert_eq!(seen("203.0.113.7", &["6.6.6.6"]), "203.0.113.7", "no proxy");
        assert_eq!(seen(PROXY, &[]), PROXY, "a proxy that says nothing");
        assert_eq!(seen(PROXY, &["6.6.6.6, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(
            seen(PROXY, &["6.6.6.6, 203.0.113.7, 10.9.9.9"]),
            "203.0.113.7"
        );
        assert_eq!(
            seen(PROXY, &["6.6.6.6", "203.0.113.7", "fd00::1"]),
            "203.0.113.7"
        );
        assert_eq!(
            seen(PROXY, &["10.0.0.7, 10.0.0.8"]),
            "10.0.0.7",
            "all inside"
        );
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        let seen = |values| client(ForwardedHeader::XForwardedFor, PROXY, values);
        assert_eq!(seen(&["203.0.113.7, unknown"]), PROXY);
        assert_eq!(seen(&["203.0.113.7, "]), PROXY);
        assert_eq!(seen(&["203.0.113.7, unknown, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn ports_and_brackets_are_left_out() {
        let seen = |values| client(ForwardedHeader::XForwardedFor, PROXY, values);
        assert_eq!(seen(&["203.0.113.7:4711"]), "203.0.113.7");
        assert_eq!(seen(&["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(seen(&["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(seen(&["::ffff:203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes() {
        let seen = |values| client(ForwardedHeader::Forwarded, PROXY, values);
        assert_eq!(
            seen(&["for=6.6.6.6, for=203.0.113.7;proto=https"]),
            "203.0.113.7"
        );
        assert_eq!(
            seen(&["proto=https;For=\"[2001:db8::1]:4711\""]),
            "2001:db8::1"
        );
        assert_eq!(
            seen(&["for=203.0.113.7, by=10.0.0.2;for=10.0.0.3"]),
            "203.0.113.7"
        );
        assert_eq!(seen(&["for=_hidden"]), PROXY);
        assert_eq!(seen(&["proto=https"]), PROXY);
        // A client chose the host, and the proxy quotes it.
        assert_eq!(
            seen(&[r#"for=203.0.113.7;host="\",for=6.6.6.6;x=\"""#]),
            "203.0.113.7"
        );
        assert_eq!(seen(&[r#"for=", for=203.0.113.7"#]), "203.0.113.7");
    }
}
