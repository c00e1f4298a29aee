//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07).

use axum::extract::OptionalFromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::idempotency::KeyedRequest;

use crate::auth::Principal;
use crate::problem::{Problem, ProblemCode};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Characters of the longest key.
const MAX_LENGTH: usize = 255;

/// The key of a request: a string as in RFC 8941, section 3.3.3, or the same without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Ties the key to its user, the rows that the user may see, and its body. Neither white space nor the
    /// order of members make another body.
    pub(super) fn with(self, principal: &Principal, mut body: Value) -> KeyedRequest {
        body.sort_all_objects();
        let mut digest = Sha256::new_with_prefix(body.to_string());
        for (field, value) in principal.narrowed_to.fields() {
            digest.update(format!("\0{field}\0{value}"));
        }
        KeyedRequest {
            organization: principal.organization,
            user: principal.user,
            key: self.0,
            sha256: digest.finalize().into(),
        }
    }

    fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?.trim_matches([' ', '\t']);
        let key = match text.strip_prefix('"') {
            Some(rest) => unescape(rest)?,
            None => Some(text)
                .filter(|text| text.bytes().all(is_bare))
                .map(str::to_owned)?,
        };
        (1..=MAX_LENGTH).contains(&key.len()).then_some(Self(key))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        match Self::parse(value).filter(|_| values.next().is_none()) {
            Some(key) => Ok(Some(key)),
            None => Err(Problem::new(
                ProblemCode::InvalidIdempotencyKey,
                "Send one key of 1 to 255 printable ASCII characters, in quotes where it has spaces, \
                 quotes, backslashes, commas or semicolons.",
            )),
        }
    }
}

/// Reads a string behind its first quote, to its last.
fn unescape(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => key.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            c @ ' '..='~' => key.push(c),
            _ => return None,
        }
    }
    characters.as_str().is_empty().then_some(key)
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#""\,;"#.contains(&byte)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::IdempotencyKey;

    fn parse(text: &str) -> Option<String> {
        IdempotencyKey::parse(&HeaderValue::from_str(text).unwrap()).map(|key| key.0)
    }

    #[test]
    fn a_key_is_the_same_with_quotes_and_without() {
        for text in [r#""8e03978e-40d5""#, "8e03978e-40d5", "  8e03978e-40d5 "] {
            assert_eq!(parse(text).as_deref(), Some("8e03978e-40d5"), "{text}");
        }
        assert_eq!(parse(r#""a \"b\" \\ c""#).as_deref(), Some(r#"a "b" \ c"#));
        let longest = "k".repeat(255);
        assert_eq!(parse(&longest), Some(longest.clone()));
        assert_eq!(parse(&format!("\"{longest}\"")), Some(longest));
    }

    #[test]
    fn what_is_no_string_is_no_key() {
        for text in [
            "",
            " ",
            r#""""#,
            r#"""#,
            r#""a"#,
            r#"a""#,
            r#""a"b"#,
            r#""a";b=1"#,
            r#""a\b""#,
            "a b",
            "a,b",
            "a;b",
            "\"a\tb\"",
            "ü",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"k".repeat(256)), None);
        assert_eq!(parse(&format!("\"{}\"", "k".repeat(256))), None);
    }
}
