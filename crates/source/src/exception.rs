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
/// `TOO_MANY_ROWS`, `TIMEOUT_EXCEEDED`, `TOO_SLOW`, `SET_SIZE_LIMIT_EXCEEDED`, `QUOTA_EXCEEDED`, `MEMORY_LIMIT_EXCEEDED`,
/// `TOO_MANY_BYTES`, `TOO_MANY_ROWS_OR_BYTES`.
const LIMITS: &[u32] = &[158, 159, 160, 191, 201, 241, 307, 396];

/// The limits that depend on the query alone, and not on what else the server does.
const PERMANENT_LIMITS: &[u32] = &[158, 191, 307, 396];

/// The query, the tables or the rights are wrong: `CANNOT_PARSE_TEXT`,
/// `THERE_IS_NO_COLUMN`, `NO_SUCH_COLUMN_IN_TABLE`,
/// `CANNOT_PARSE_INPUT_ASSERTION_FAILED`, `BAD_ARGUMENTS`, `NUMBER_OF_ARGUMENTS_DOESNT_MATCH`,
/// `ILLEGAL_TYPE_OF_ARGUMENT`, `ILLEGAL_COLUMN`, `UNKNOWN_FUNCTION`, `UNKNOWN_IDENTIFIER`,
/// `NOT_IMPLEMENTED`, `UNKNOWN_TYPE`, `TYPE_MISMATCH`, `UNKNOWN_TABLE`, `SYNTAX_ERROR`,
/// `CANNOT_CONVERT_TYPE`, `UNKNOWN_FORMAT`, `UNKNOWN_DATABASE`, `ILLEGAL_PREWHERE`,
/// `DATABASE_ACCESS_DENIED`, `CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN`, `NO_COMMON_TYPE`,
/// `DECIMAL_OVERFLOW`, `CANNOT_COMPILE_REGEXP`, `UNKNOWN_QUERY_PARAMETER`, `BAD_QUERY_PARAMETER`,
/// `ACCESS_DENIED`. Credentials are not among them, since they can be rotated.
const REJECTIONS: &[u32] = &[
    6, 8, 16, 27, 36, 42, 43, 44, 46, 47, 48, 50, 53, 60, 62, 70, 73, 81, 182, 291, 349, 386, 407,
    427, 456, 457, 497,
];

/// The server does not take a setting any more: `UNKNOWN_SETTING`, `READONLY`,
/// `SETTING_CONSTRAINT_VIOLATION`.
const REFUSED_SETTINGS: &[u32] = &[115, 164, 452];

/// Something that the query names is not there: `THERE_IS_NO_COLUMN`, `NO_SUCH_COLUMN_IN_TABLE`,
/// `UNKNOWN_IDENTIFIER`, `UNKNOWN_TABLE`, `UNKNOWN_DATABASE`.
const UNKNOWN_NAMES: &[u32] = &[8, 16, 47, 60, 81];

/// An expression makes no sense for the columns that it names, or the user may not read them:
/// `BAD_ARGUMENTS`, `NUMBER_OF_ARGUMENTS_DOESNT_MATCH`, `ILLEGAL_TYPE_OF_ARGUMENT`, `ILLEGAL_COLUMN`,
/// `UNKNOWN_FUNCTION`, `NOT_IMPLEMENTED`, `UNKNOWN_TYPE`, `TYPE_MISMATCH`, `SIZES_OF_ARRAYS_DONT_MATCH`,
/// `NO_COMMON_TYPE`, `ACCESS_DENIED`.
const WRONG_EXPRESSIONS: &[u32] = &[36, 42, 43, 44, 46, 48, 50, 53, 190, 386, 497];

impl Exception {
    /// Reads `Code: 62. DB::Exception: … (SYNTAX_ERROR) (version …)`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.match_indices("Code: ").find_map(|(at, word)| {
            let rest = &text[at + word.len()..];
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let code = rest[..digits].parse().ok()?;
            rest[digits..].starts_with(". DB::").then(|| Self {
                code,
                name: name(rest),
            })
        })
    }

    /// Tells whether the engine does not take a regular expression of the filter
    /// (`CANNOT_COMPILE_REGEXP`): RE2 differs in corners from what a request is checked with.
    pub fn refuses_pattern(&self) -> bool {
        self.code == 427
    }

    /// Tells whether the server does not have a database, table or column that the query names.
    pub fn is_unknown_name(&self) -> bool {
        UNKNOWN_NAMES.contains(&self.code)
    }

    /// Tells whether an expression cannot be had of a table.
    pub(crate) fn refuses_expression(&self) -> bool {
        self.is_unknown_name() || WRONG_EXPRESSIONS.contains(&self.code)
    }

    pub(crate) fn refuses_setting(&self) -> bool {
        REFUSED_SETTINGS.contains(&self.code)
    }

    pub(crate) fn is_limit(&self) -> bool {
        LIMITS.contains(&self.code)
    }

    pub(crate) fn is_permanent(&self) -> bool {
        REJECTIONS.contains(&self.code) || PERMANENT_LIMITS.contains(&self.code)
    }
}

/// The last bytes of an answer.
pub(crate) struct Tail {
    bytes: Vec<u8>,
    tag: Option<String>,
}

/// How much of the end of an answer is kept: ClickHouse cuts the text of an exception at 16 KiB.
const TAIL_BYTES: usize = 32 * 1024;

/// What stands around an exception, since ClickHouse 25.11.
const MARK: &str = "\r\n__exception__\r\n";

impl Tail {
    /// Begins an answer whose server marks exceptions with `tag`, as its header
    /// `X-ClickHouse-Exception-Tag` says. Older servers have none.
    pub(crate) fn new(tag: Option<String>) -> Self {
        Self {
            bytes: Vec::new(),
            tag,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(TAIL_BYTES);
        self.bytes.drain(..excess);
        self.bytes.extend_from_slice(kept);
    }

    /// Returns the exception that ends the answer, if it does.
    ///
    /// With a tag nothing else can be taken for one. Without, a row can that ends with the text of an
    /// exception, if the answer breaks off right there: such a text is the last line, whole.
    pub(crate) fn exception(&self) -> Option<Exception> {
        let text = String::from_utf8_lossy(&self.bytes);
        let Some(tag) = &self.tag else {
            let (_, last) = text
                .strip_suffix('\n')?
                .rsplit_once('\n')
                .unwrap_or(("", &text));
            let says_version = last.contains(" (version ") && last.trim_end().ends_with(')');
            return says_version.then(|| Exception::parse(last))?;
        };
        let marked = text.strip_suffix(MARK)?.strip_suffix(tag.as_str())?;
        let before = format!("{MARK}{tag}\r\n");
        Exception::parse(&marked[marked.rfind(&before)? + before.len()..])
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
    use super::{Exception, Tail};

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

    const TEXT: &str = "Code: 396. DB::Exception: Limit for result exceeded. \
                        (TOO_MANY_ROWS_OR_BYTES) (version 26.9.2.1 (official build))\n";

    fn exception(tag: Option<&str>, answer: &str) -> Option<u32> {
        let mut tail = Tail::new(tag.map(str::to_owned));
        for chunk in answer.as_bytes().chunks(100) {
            tail.push(chunk);
        }
        tail.exception().map(|exception| exception.code)
    }

    #[test]
    fn an_exception_is_the_last_of_an_answer() {
        let other = TEXT.replace("396", "62");
        let rows = other.repeat(1_000);
        assert_eq!(exception(None, &format!("{rows}{TEXT}")), Some(396));
        assert_eq!(exception(None, &format!("{rows} and more rows")), None);
        assert_eq!(exception(None, "Code: 62 is a log line"), None);
        assert_eq!(exception(None, ""), None);
        let nested = "\0rows\0Status Code: 5, Code: 279. DB::Exception: All tries failed: Code: 210. \
                      DB::NetException: refused (NETWORK_ERROR) (version 23.8)\n";
        assert_eq!(exception(None, nested), Some(279));

        let mark = "\r\n__exception__\r\n";
        let (tag, length) = ("abcdefghijklmnop", TEXT.len());
        let marked = format!("{rows}{mark}{tag}\r\n{TEXT}{length} {tag}{mark}");
        assert_eq!(exception(Some(tag), &marked), Some(396));
        assert_eq!(exception(Some("qrstuvwxyzabcdef"), &marked), None);
        assert_eq!(exception(Some(tag), &rows), None);
    }
}
