//! Where in a trace something was asked for.

/// A `traceparent` of W3C Trace Context, version 00: the trace, the span, and whether it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Reads a `traceparent`, or returns nothing when it is none: a broken one is ignored, never an
    /// error (Trace Context, section 4.3).
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let mut is_hex = |length: usize| {
            let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            fields
                .next()
                .is_some_and(|field| field.len() == length && field.bytes().all(digit))
        };
        let is_valid = text.starts_with("00") && is_hex(2) && is_hex(32) && is_hex(16) && is_hex(2);
        (is_valid && fields.next().is_none()).then(|| Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::TraceParent;

    #[test]
    fn what_is_no_traceparent_is_ignored() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceParent::parse(valid).unwrap().as_str(), valid);
        let broken = [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\u{e9}",
        ];
        for text in broken {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }
}
