//! The JSON body of a request: bounded, declared as JSON, and without doubled members.

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::{Problem, ProblemCode};

/// The body of a request, any JSON value.
///
/// A member that is named twice is refused (RFC 7493, section 2.3), since whoever wrote it meant
/// both; so is U+0000, which Postgres cannot keep. The parser bounds the nesting.
#[derive(Clone, Debug)]
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !declares_json(request.headers()) {
            let detail = "Send the body as application/json, without a Content-Encoding.";
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        parse(&bytes).map(Self).map_err(|error| {
            let detail = format!("The body could not be read: {error}.");
            Problem::new(ProblemCode::InvalidJson, detail)
        })
    }
}

fn declares_json(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    let json = essence.is_some_and(|essence| {
        essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"))
    });
    let plain = headers
        .get(CONTENT_ENCODING)
        .is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    json && plain
}

fn unread(rejection: BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            let detail = "Send a shorter body, for example with fewer values in the filters.";
            Problem::new(ProblemCode::BodyTooLarge, detail)
        }
        other => Problem::new(ProblemCode::InvalidJson, "The body broke off.").caused_by(other),
    }
}

fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(bytes).map(|Strict(value)| value)
}

/// A [`Value`] whose objects name each member once.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        without_nul(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let name = without_nul(name)?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!(
                    "the member {name:?} is named twice"
                )));
            }
            let Strict(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

fn without_nul<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        Err(E::custom("a text holds the character U+0000"))
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::parse;

    fn error(text: &str) -> String {
        parse(text.as_bytes())
            .expect_err("not accepted")
            .to_string()
    }

    #[test]
    fn a_document_reads_as_it_stands() {
        let value = json!({"b": [1, -2, 0.5, null, true, "ü\n"], "a": {"b": u64::MAX}});
        assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
        let Value::Object(object) = parse(br#"{"z":1,"a":2}"#).unwrap() else {
            panic!("an object")
        };
        assert_eq!(object.keys().collect::<Vec<_>>(), ["z", "a"]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(error(r#"{"a":{"b":1,"b":2}}"#).contains(r#"the member "b" is named twice"#));
        assert!(error(r#"["a\u0000b"]"#).contains("U+0000"));
        assert!(error(r#"{"a\u0000":1}"#).contains("U+0000"));
        assert!(error(r#"["\ud800"]"#).contains("hex escape"));
        assert!(error("1e999").contains("number out of range"));
        assert!(error("").contains("EOF"));
        assert!(error("{} {}").contains("trailing"));
        assert!(error(&"[".repeat(100_000)).contains("recursion limit"));
    }
}
