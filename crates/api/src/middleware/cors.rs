//! Lets pages of other origins call the API from a browser.

use std::time::Duration;

use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use tower_http::cors::CorsLayer;
use url::Url;

use crate::middleware::request_id::X_REQUEST_ID;
use crate::rate::{RATE_LIMIT, RATE_LIMIT_POLICY};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long a browser may remember what is allowed.
const MAX_AGE: Duration = Duration::from_hours(1);

/// An origin as browsers write it: scheme, host, and the port where it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(HeaderValue);

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("must be an origin such as https://app.example.com, without a path")]
pub struct NoOrigin;

impl TryFrom<String> for Origin {
    type Error = NoOrigin;

    fn try_from(text: String) -> Result<Self, NoOrigin> {
        let url = Url::parse(&text).map_err(|_| NoOrigin)?;
        let origin = Some(url.origin().ascii_serialization()).filter(|origin| *origin == text);
        let value = origin.and_then(|origin| HeaderValue::try_from(origin).ok());
        value.map(Self).ok_or(NoOrigin)
    }
}

/// Allows these origins what the API is for; nothing where there are none. Tokens are sent by the page
/// and never by the browser, so credentials are not allowed.
pub(crate) fn allow(origins: &[Origin]) -> Option<CorsLayer> {
    let origins: Vec<_> = origins.iter().map(|Origin(value)| value.clone()).collect();
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                IDEMPOTENCY_KEY,
                IF_NONE_MATCH,
                LAST_EVENT_ID,
                X_REQUEST_ID,
            ])
            .expose_headers([
                ETAG,
                LINK,
                LOCATION,
                RATE_LIMIT,
                RATE_LIMIT_POLICY,
                RETRY_AFTER,
                X_REQUEST_ID,
            ])
            .max_age(MAX_AGE)
    })
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_origin_is_what_browsers_write() {
        for text in ["https://app.example.com", "http://localhost:3000"] {
            assert!(Origin::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in [
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://APP.example.com",
            "https://user@app.example.com",
        ] {
            assert!(Origin::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
