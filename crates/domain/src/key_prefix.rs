//! Where the objects of some exports are, below the prefix of their organization.

use std::fmt;

/// One to eight names with `/` between them, such as `nightly/errors`; each has 1 to 64 letters,
/// digits and `-`, `_`, `.` or `=`, and begins with none of the last two. It can lead nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Reads a prefix.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow its name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let names: Vec<_> = text.split('/').collect();
        if names.len() > 8 {
            return Err("must not have more than 8 parts");
        }
        let valid = |name: &&str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
            (1..=64).contains(&name.len())
                && name.chars().all(allowed)
                && !name.starts_with(['.', '='])
        };
        if names.iter().all(valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be names of letters, digits, -, _, . and =, with / between them")
        }
    }

    /// Returns the prefix, without a `/` at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::KeyPrefix;

    #[test]
    fn a_prefix_leads_nowhere_else() {
        for text in [
            "a",
            "nightly/errors",
            "data=logs/v1.2",
            &format!("{}a", "a/".repeat(7)),
        ] {
            assert_eq!(KeyPrefix::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "=a",
            "a b",
            "ü",
            "a\\b",
            "a%2fb",
            "a\0",
            &"a".repeat(65),
            &format!("{}a", "a/".repeat(8)),
        ] {
            assert!(KeyPrefix::parse(text).is_err(), "{text}");
        }
    }
}
