//! ClickHouse's exceptions: found in the text of an answer, and told apart by their codes.

/// An exception of ClickHouse, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The number.
    pub code: u32,
    /// The name, such as `MEMORY_LIMIT_EXCEEDED`; empty when the server did not say.
    pub name: String,
}

/// The engine stopped at a limit that a narrower query would keep:
/// `TOO_MANY_ROWS`, `TIMEOUT_EXCEEDED`, `TOO_SLOW`, `QUOTA_EXCEEDED`, `MEMORY_LIMIT_EXCEEDED`,
/// `TOO_MANY_BYTES`, `TOO_MANY_ROWS_OR_BYTES`.
const LIMITS: &[u32] = &[158, 159, 160, 201, 241, 307, 396];

/// The limits that depend on the query alone, and not on what else the server does.
const PERMANENT_LIMITS: &[u32] = &[158, 307, 396];

/// The query, the tables or the rights are wrong: `CANNOT_PARSE_TEXT`, `NO_SUCH_COLUMN_IN_TABLE`,
/// `CANNOT_PARSE_INPUT_ASSERTION_FAILED`, `BAD_ARGUMENTS`, `NUMBER_OF_ARGUMENTS_DOESNT_MATCH`,
/// `ILLEGAL_TYPE_OF_ARGUMENT`, `ILLEGAL_COLUMN`, `UNKNOWN_FUNCTION`, `UNKNOWN_IDENTIFIER`,
/// `NOT_IMPLEMENTED`, `UNKNOWN_TYPE`, `TYPE_MISMATCH`, `UNKNOWN_TABLE`, `SYNTAX_ERROR`,
/// `CANNOT_CONVERT_TYPE`, `UNKNOWN_FORMAT`, `UNKNOWN_DATABASE`, `UNKNOWN_SETTING`, `READONLY`,
/// `UNKNOWN_USER`, `WRONG_PASSWORD`, `REQUIRED_PASSWORD`, `DATABASE_ACCESS_DENIED`,
/// `CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN`, `NO_COMMON_TYPE`, `CANNOT_COMPILE_REGEXP`,
/// `SETTING_CONSTRAINT_VIOLATION`, `UNKNOWN_QUERY_PARAMETER`, `BAD_QUERY_PARAMETER`,
/// `ACCESS_DENIED`, `AUTHENTICATION_FAILED`.
const REJECTIONS: &[u32] = &[
    6, 16, 27, 36, 42, 43, 44, 46, 47, 48, 50, 53, 60, 62, 70, 73, 81, 115, 164, 192, 193, 194,
    291, 349, 386, 427, 452, 456, 457, 497, 516,
];

impl Exception {
    /// Reads `Code: 62. DB::Exception: … (SYNTAX_ERROR) (version …)`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("Code: ")?;
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let code = rest[..digits].parse().ok()?;
        rest[digits..].starts_with(". DB::").then(|| Self {
            code,
            name: name(rest),
        })
    }

    /// Looks for an exception at the end of an answer that broke off.
    pub(crate) fn find_last(tail: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(tail);
        Self::parse(&text[text.rfind("Code: ")?..])
    }

    pub(crate) fn is_limit(&self) -> bool {
        LIMITS.contains(&self.code)
    }

    pub(crate) fn is_permanent(&self) -> bool {
        REJECTIONS.contains(&self.code) || PERMANENT_LIMITS.contains(&self.code)
    }
}

/// Returns the last name in parentheses.
fn name(text: &str) -> String {
    let in_parentheses = |part: &str| Some(part.split_once(')')?.0.to_owned());
    text.split('(')
        .filter_map(in_parentheses)
        .rfind(|name| name.len() > 2 && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Exception;

    #[test]
    fn an_exception_is_its_code_and_name() {
        let text = "Code: 241. DB::Exception: Memory limit (total) exceeded: (while reading). \
                    (MEMORY_LIMIT_EXCEEDED) (version 26.9.2.1 (official build))\n";
        let exception = Exception::parse(text).unwrap();
        assert_eq!(
            (exception.code, exception.name.as_str()),
            (241, "MEMORY_LIMIT_EXCEEDED")
        );
        assert!(exception.is_limit() && !exception.is_permanent());
    }

    #[test]
    fn the_last_exception_of_a_broken_answer_counts() {
        let tail = b"\xff\xfe log: Code: 62. DB::Exception: old\0\0Code: 396. DB::Exception: \
                     Limit for result exceeded (TOO_MANY_ROWS_OR_BYTES)\n";
        assert_eq!(Exception::find_last(tail).unwrap().code, 396);
        assert_eq!(Exception::find_last(b"Code: 62 is a log line"), None);
        assert_eq!(Exception::find_last(b"nothing"), None);
    }
}
