//! Entity tags (RFC 9110, section 8.8.3) and the condition that clients make with them.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, InvalidHeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The name of a representation: a hash of its bytes, so equal on every process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag(String);

impl EntityTag {
    /// Names a representation.
    pub(crate) fn of(body: &str) -> Self {
        let hash = Sha256::digest(body);
        Self(URL_SAFE_NO_PAD.encode(&hash[..16]))
    }

    /// Returns the tag without its quotes.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the header `ETag`.
    ///
    /// # Errors
    ///
    /// When it is none, which letters and digits never are.
    pub(crate) fn header(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::try_from(format!("\"{}\"", self.0))
    }
}

/// The header `If-None-Match` (RFC 9110, section 13.1.2): the representations that a client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfNoneMatch {
    /// `*`: whatever there is.
    Any,
    /// The tags, without their quotes; none of them when there is no header.
    Tags(Vec<String>),
}

impl IfNoneMatch {
    /// Tells whether the client says nothing about what it has.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Tags(tags) if tags.is_empty())
    }

    /// Tells whether the client has the representation. Tags are compared weakly, since proxies that
    /// compress make tags weak.
    pub(crate) fn has(&self, etag: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(&etag.0),
        }
    }

    /// Answers 200 with a representation, which is JSON, or 304 when the client has it.
    ///
    /// # Errors
    ///
    /// When the tag is no header, which never happens to letters and digits.
    pub(crate) fn answer(
        &self,
        etag: &EntityTag,
        body: &str,
    ) -> Result<Response, InvalidHeaderValue> {
        let tag = [(ETAG, etag.header()?)];
        if self.has(etag) {
            return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
        }
        let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Ok((tag, json, body.to_owned()).into_response())
    }

    fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(IF_NONE_MATCH).iter();
        let items: Vec<_> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        if items == ["*"] {
            return Self::Any;
        }
        let tag = |item: &&str| {
            let opaque = item.strip_prefix("W/").unwrap_or(item);
            let tag = opaque.strip_prefix('"')?.strip_suffix('"')?;
            Some(tag.to_owned())
        };
        Self::Tags(items.iter().filter_map(tag).collect())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::IF_NONE_MATCH;
    use axum::http::{HeaderMap, HeaderValue};

    use super::{EntityTag, IfNoneMatch};

    fn has(values: &[&str], etag: &EntityTag) -> bool {
        let header = |value: &&str| (IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
        let headers: HeaderMap = values.iter().map(header).collect();
        IfNoneMatch::of(&headers).has(etag)
    }

    #[test]
    fn a_client_names_what_it_has() {
        let etag = EntityTag::of("{}");
        let quoted = format!("\"{}\"", etag.as_str());
        let weak = format!("W/{quoted}");
        let list = format!("\"a\", {weak} ,\"b\"");
        for value in ["*", &quoted, &weak, &list] {
            assert!(has(&[value], &etag), "{value}");
        }
        assert!(has(&["\"a\"", &quoted], &etag));
        for value in ["", "\"\"", "\"a\"", etag.as_str(), "**"] {
            assert!(!has(&[value], &etag), "{value}");
        }
        assert!(!has(&[], &etag));
        assert!(!has(&[&quoted], &EntityTag::of("[]")));
    }
}
