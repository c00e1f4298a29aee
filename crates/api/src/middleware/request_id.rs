//! Names every request, so that an answer and the log lines about it can be found together.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: 1 to 64 letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the caller's id when it is sane, else makes one.
    fn of(headers: &HeaderMap) -> Self {
        let sane = |id: &&str| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let given = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
        match given.filter(sane) {
            Some(id) => Self(id.to_owned()),
            None => Self(Uuid::new_v4().to_string()),
        }
    }
}

/// Gives the request its [`RequestId`], and the response the same in `x-request-id`.
pub async fn assign(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{RequestId, X_REQUEST_ID};

    fn id(given: &str) -> String {
        let value = HeaderValue::from_str(given).unwrap();
        RequestId::of(&HeaderMap::from_iter([(X_REQUEST_ID, value)])).0
    }

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        assert_eq!(id("trace-1.a_B"), "trace-1.a_B");
        for strange in ["", "a b", "a\"b", "id;drop", &"x".repeat(65)] {
            assert_eq!(id(strange).len(), 36, "{strange}");
        }
    }
}
