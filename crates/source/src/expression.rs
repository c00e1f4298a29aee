//! The expressions of a preset, as far as the service must understand them.

/// Expressions or tables in order of preference, written `one | other`. The first that the server
/// has is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alternatives(Vec<String>);

impl Alternatives {
    /// Cuts a text at each `|` outside of quotes. `||`, which joins texts in SQL, is no cut.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let (mut start, mut quote) = (0, None);
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match (bytes[at], quote) {
                (b'\\', Some(_)) => at += 1,
                (byte, Some(open)) if byte == open => quote = None,
                (open @ (b'\'' | b'"' | b'`'), None) => quote = Some(open),
                (b'|', None) if bytes.get(at + 1) == Some(&b'|') => at += 1,
                (b'|', None) => {
                    parts.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        parts.push(&text[start..]);
        Self(parts.iter().map(|part| part.trim().to_owned()).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns the preferred one.
    pub(crate) fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

/// `column['key']`: a value of a map or of a JSON column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapKey<'a> {
    pub(crate) column: &'a str,
    pub(crate) key: &'a str,
}

impl<'a> MapKey<'a> {
    /// Reads an expression, if it is nothing else.
    pub(crate) fn parse(sql: &'a str) -> Option<Self> {
        let (column, rest) = sql.trim().split_once("['")?;
        let key = rest.strip_suffix("']")?;
        let is_plain = |c: char| c != '\'' && c != '\\' && c != '`';
        (is_name(column) && !key.is_empty() && key.chars().all(is_plain))
            .then_some(Self { column, key })
    }

    /// Returns the expression for a JSON column, NULL where the key is missing. A writer nests a
    /// key's parts or, with `json_type_escape_dots_in_keys`, keeps the key whole.
    pub(crate) fn of_json(self) -> String {
        let Self { column, key } = self;
        let text = |path: &str| format!("CAST({column}.`{path}`, 'Nullable(String)')");
        if key.contains('.') {
            let (nested, whole) = (key.replace('.', "`.`"), key.replace('.', "%2E"));
            format!("coalesce({}, {})", text(&nested), text(&whole))
        } else {
            text(key)
        }
    }
}

/// Tells whether an expression is the mere name of a column, such as `Body` or `Events.Name`.
pub(crate) fn is_name(sql: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    sql.split('.').all(is_part) && !["null", "true", "false"].contains(&&*sql.to_ascii_lowercase())
}

/// Puts a name of the server into quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::{Alternatives, MapKey, is_name, quoted};

    #[test]
    fn alternatives_are_cut_outside_of_quotes() {
        let cut = |text: &str| {
            let alternatives = Alternatives::parse(text);
            alternatives.iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(cut("Body"), ["Body"]);
        assert_eq!(cut("logs_v3 | logs"), ["logs_v3", "logs"]);
        assert_eq!(cut("a || b | 'x|y\\'|'"), ["a || b", "'x|y\\'|'"]);
        assert_eq!(Alternatives::parse("a|b").first(), "a");
    }

    #[test]
    fn keys_of_maps_are_told_from_other_expressions() {
        let key = MapKey::parse("ResourceAttributes['a.b']").unwrap();
        assert_eq!((key.column, key.key), ("ResourceAttributes", "a.b"));
        assert_eq!(
            key.of_json(),
            "coalesce(CAST(ResourceAttributes.`a`.`b`, 'Nullable(String)'), \
             CAST(ResourceAttributes.`a%2Eb`, 'Nullable(String)'))"
        );
        for other in [
            "lower(a['b'])",
            "a['b'] || a['c']",
            "a[b]",
            "organization_id",
        ] {
            assert_eq!(MapKey::parse(other), None, "{other}");
        }
    }

    #[test]
    fn names_are_told_from_other_expressions() {
        assert!(is_name("Body") && is_name("Events.Name") && is_name("_part"));
        for other in ["NULL", "1", "'x'", "a + b", "f(x)", "a.", "", "true"] {
            assert!(!is_name(other), "{other}");
        }
        assert_eq!(quoted("a`b\\"), "`a\\`b\\\\`");
    }
}
