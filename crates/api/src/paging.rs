//! Pages of a list: how long one is, and how a client finds the next one.

use axum::http::header::{InvalidHeaderValue, LINK};
use axum::http::{HeaderMap, HeaderValue};

use crate::parameters::Parameters;

/// Items of a page when the query does not say.
const DEFAULT_LIMIT: u16 = 20;

/// Items of the largest page.
const MAX_LIMIT: u16 = 100;

/// Why a cursor is wrong.
pub(crate) const NO_CURSOR: &str = "must be the one of a link to a next page";

/// Reads how many items a page has.
pub(crate) fn limit(parameters: &mut Parameters) -> u16 {
    let limit = parameters.optional("limit", |text| {
        text.parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| format!("must be a number from 1 to {MAX_LIMIT}"))
    });
    limit.unwrap_or(DEFAULT_LIMIT)
}

/// Returns the items of a page, and the last of them where one more behind them tells that there is a
/// next page.
pub(crate) fn cut<T>(items: &[T], limit: u16) -> (&[T], Option<&T>) {
    let page = items.get(..limit.into()).unwrap_or(items);
    let last = page.last().filter(|_| page.len() < items.len());
    (page, last)
}

/// Returns the headers of a page, which say where the next one is (RFC 8288).
///
/// # Errors
///
/// When the address is no header.
pub(crate) fn headers(next: Option<&str>) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    if let Some(next) = next {
        let link = HeaderValue::try_from(format!("<{next}>; rel=\"next\""))?;
        headers.insert(LINK, link);
    }
    Ok(headers)
}
