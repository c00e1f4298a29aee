//! Who hears of the end of an export, and how.

use std::fmt;

use serde_json::{Map, Value};
use url::Url;

use crate::closed_set::closed_set;
use crate::members::{Members, one, one_of, text};
use crate::violation::{Pointer, Violation};

closed_set! {
    /// Where the link of an e-mail leads.
    LinkKind {
        /// To the storage, for seven days at most.
        Presigned = "presigned",
        /// To the service, which knows who follows it and can revoke it, for as long as the file is
        /// kept.
        Service = "service",
    }
}

/// The option `notify` of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Where the link of the e-mail leads.
    pub link: LinkKind,
    /// What is called when the export is completed or has failed.
    pub webhook: Option<WebhookUrl>,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            link: LinkKind::Presigned,
            webhook: None,
        }
    }
}

impl Notify {
    /// Points at the link of a request.
    pub fn link_pointer() -> Pointer {
        Pointer::root()
            .child("options")
            .child("notify")
            .child("link")
    }

    /// Points at the webhook of a request.
    pub fn webhook_pointer() -> Pointer {
        Pointer::root()
            .child("options")
            .child("notify")
            .child("webhook")
    }

    pub(crate) fn parse(value: &Value, at: &Pointer) -> Result<Self, Vec<Violation>> {
        let mut members = Members::of(value, at.clone())?;
        let link = members.optional("link", |value, at| {
            one_of(value, at, LinkKind::parse, LinkKind::NAMES)
        });
        let webhook = members.optional("webhook", |value, at| {
            WebhookUrl::parse(text(value, at)?).map_err(|detail| one(at, detail))
        });
        members.finish()?;
        Ok(Self {
            link: link.unwrap_or(Self::default().link),
            webhook,
        })
    }

    /// Returns the option as it would be given; nothing where it is as without it.
    pub(crate) fn to_json(&self) -> Option<Value> {
        let mut members = Map::new();
        if self.link != LinkKind::Presigned {
            members.insert("link".to_owned(), self.link.as_str().into());
        }
        if let Some(webhook) = &self.webhook {
            members.insert("webhook".to_owned(), webhook.0.as_str().into());
        }
        (!members.is_empty()).then_some(Value::Object(members))
    }
}

/// The address of a webhook: HTTPS, at port 443 or at one that needs no privileges.
///
/// Whether the service may connect to its host is for those to say who do.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Bytes of the longest address.
    pub(crate) const MAX_BYTES: usize = 2048;

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow its name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "must be an absolute URL")?;
        if url.scheme() != "https" {
            return Err("must begin with https://");
        }
        if url.as_str().len() > Self::MAX_BYTES {
            return Err("is longer than 2048 bytes");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not name a user or a password");
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment");
        }
        if !matches!(url.port(), None | Some(1024..)) {
            return Err("must have port 443, or one from 1024 on");
        }
        Ok(Self(url))
    }

    /// Returns the address.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

/// Shows only the host: paths and queries of webhooks are often secrets.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebhookUrl")
            .field(&self.0.host_str())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Notify, WebhookUrl};
    use crate::violation::Pointer;

    #[test]
    fn an_address_reads_back_as_it_is_kept() {
        for (text, kept) in [
            ("https://example.com", "https://example.com/"),
            ("https://example.com:443/a", "https://example.com/a"),
            (
                "HTTPS://Example.com:8443/a?b=c",
                "https://example.com:8443/a?b=c",
            ),
            (
                "https://bücher.example/ü",
                "https://xn--bcher-kva.example/%C3%BC",
            ),
            // Numbers are addresses, however they are written.
            ("https://2130706433/", "https://127.0.0.1/"),
            ("https://0x7f.1/", "https://127.0.0.1/"),
            ("https://017700000001/", "https://127.0.0.1/"),
            ("https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/"),
        ] {
            let url = WebhookUrl::parse(text).unwrap();
            assert_eq!(url.as_url().as_str(), kept);
            assert_eq!(WebhookUrl::parse(kept).unwrap(), url);
            let notify = Notify {
                webhook: Some(url),
                ..Notify::default()
            };
            let json = notify.to_json().unwrap();
            assert_eq!(Notify::parse(&json, &Pointer::root()).unwrap(), notify);
        }
    }

    #[test]
    fn what_is_no_address_of_a_webhook_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(2048));
        for (text, detail) in [
            ("", "must be an absolute URL"),
            ("example.com/hook", "must be an absolute URL"),
            ("https://", "must be an absolute URL"),
            ("https://exa mple.com", "must be an absolute URL"),
            ("https://example.com:99999/", "must be an absolute URL"),
            ("http://example.com/", "must begin with https://"),
            ("file:///etc/passwd", "must begin with https://"),
            ("gopher://example.com:70/", "must begin with https://"),
            (&long, "is longer than 2048 bytes"),
            (
                "https://ada@example.com/",
                "must not name a user or a password",
            ),
            (
                "https://:secret@example.com/",
                "must not name a user or a password",
            ),
            ("https://example.com/#a", "must not have a fragment"),
            (
                "https://example.com:0/",
                "must have port 443, or one from 1024 on",
            ),
            (
                "https://example.com:22/",
                "must have port 443, or one from 1024 on",
            ),
            (
                "https://example.com:80/",
                "must have port 443, or one from 1024 on",
            ),
        ] {
            assert_eq!(WebhookUrl::parse(text), Err(detail), "{text}");
        }
    }

    #[test]
    fn a_wrong_option_is_told_where_it_stands() {
        let wrong = json!({ "webhook": "http://example.com/", "e-mail": true });
        let wrong: Vec<_> = Notify::parse(&wrong, &Pointer::root().child("notify"))
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            wrong,
            [
                "/notify/webhook: must begin with https://",
                "/notify/e-mail: is unknown; known are link, webhook",
            ]
        );
    }

    #[test]
    fn the_path_is_not_told() {
        let url = WebhookUrl::parse("https://example.com/a-secret?key=secret").unwrap();
        assert_eq!(format!("{url:?}"), "WebhookUrl(Some(\"example.com\"))");
    }
}
