//! What is wrong with a request, and where.

use std::fmt;

use serde::Serialize;

/// A JSON pointer (RFC 6901) into the body of a request; the empty pointer is the whole body.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Pointer(String);

impl Pointer {
    /// Points at the whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Points at a member or an element of what this one points at.
    #[must_use]
    pub fn child(&self, token: impl fmt::Display) -> Self {
        let token = token.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{token}", self.0))
    }

    /// Points at the same, where what it points into stands at `parent`.
    #[must_use]
    pub fn below(&self, parent: &Self) -> Self {
        Self(format!("{}{}", parent.0, self.0))
    }

    /// Returns the pointer as text, such as `/filters/all/0/op`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// Where in the body.
    pub pointer: Pointer,
    /// What is wrong, as a sentence for the person who wrote the request.
    pub detail: String,
}

impl Violation {
    /// Says that what `pointer` points at is wrong for the reason of `detail`.
    pub fn new(pointer: Pointer, detail: impl Into<String>) -> Self {
        Self {
            pointer,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer.as_str(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::Pointer;

    #[test]
    fn tokens_are_escaped_as_rfc_6901_says() {
        let pointer = Pointer::root().child("filters").child("a/b~c").child(0);
        assert_eq!(pointer.as_str(), "/filters/a~1b~0c/0");
        let below = pointer.below(&Pointer::root().child("export"));
        assert_eq!(below.as_str(), "/export/filters/a~1b~0c/0");
    }
}
