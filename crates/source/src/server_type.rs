//! The types of columns, as the server writes them.

/// A type, as far as it matters to an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerType {
    /// Something with a name, without what is in parentheses behind it.
    Named(String),
    /// A time with so many digits behind the seconds.
    DateTime64(u8),
    Json,
    Nullable(Box<ServerType>),
    LowCardinality(Box<ServerType>),
    Array(Box<ServerType>),
    Map(Box<ServerType>, Box<ServerType>),
    Tuple(Vec<ServerType>),
}

/// The digits of the finest time there is.
pub(crate) const NANOSECONDS: u8 = 9;

impl ServerType {
    /// Reads a type, such as `Array(Tuple(at DateTime64(9), tags Map(String, String)))`.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').map(split_list)),
            None => (text, None),
        };
        let arguments = arguments.unwrap_or_default();
        match (name, &arguments[..]) {
            ("JSON" | "Object", _) => Self::Json,
            ("DateTime64", [scale, ..]) => Self::DateTime64(scale.parse().unwrap_or(NANOSECONDS)),
            ("Nullable", [inner]) => Self::Nullable(Self::boxed(inner)),
            ("LowCardinality", [inner]) => Self::LowCardinality(Self::boxed(inner)),
            ("Array", [inner]) => Self::Array(Self::boxed(inner)),
            ("Map", [key, value]) => Self::Map(Self::boxed(key), Self::boxed(value)),
            ("SimpleAggregateFunction", [_, inner]) => Self::parse(inner),
            ("Tuple", members) => Self::Tuple(members.iter().map(|it| Self::member(it)).collect()),
            ("Nested", members) => Self::Array(Box::new(Self::Tuple(
                members.iter().map(|it| Self::member(it)).collect(),
            ))),
            _ => Self::Named(name.to_owned()),
        }
    }

    fn boxed(text: &str) -> Box<Self> {
        Box::new(Self::parse(text))
    }

    /// Reads a member of a tuple, with or without its name.
    fn member(text: &str) -> Self {
        let text = text.trim();
        let rest = match text.strip_prefix('`') {
            Some(rest) => rest.split_once("` ").map_or(text, |(_, rest)| rest),
            // No type has a space before its first parenthesis.
            None => match text.split_once(' ') {
                Some((name, rest)) if !name.contains('(') => rest,
                _ => text,
            },
        };
        Self::parse(rest)
    }

    /// Returns what is inside of `Nullable` and `LowCardinality`.
    pub(crate) fn bare(&self) -> &Self {
        match self {
            Self::Nullable(inner) | Self::LowCardinality(inner) => inner.bare(),
            other => other,
        }
    }

    pub(crate) fn is_nullable(&self) -> bool {
        match self {
            Self::Nullable(_) => true,
            Self::LowCardinality(inner) => inner.is_nullable(),
            _ => false,
        }
    }

    /// Tells whether it has times that are no nanoseconds in 64 bits.
    pub(crate) fn exceeds_nanoseconds(&self) -> bool {
        matches!(self.bare(), Self::DateTime64(scale) if *scale < NANOSECONDS)
    }

    /// Returns the name of a single value's type.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.bare() {
            Self::Named(name) => Some(name),
            Self::DateTime64(_) => Some("DateTime64"),
            _ => None,
        }
    }
}

/// Cuts a list at its commas that are in no parentheses and no quotes.
pub(crate) fn split_list(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', Some(_)) => escaped = true,
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '`' | '"', None) => quote = Some(c),
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() || !parts.is_empty() {
        parts.push(last);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{ServerType, split_list};

    #[test]
    fn types_are_read_as_the_server_writes_them() {
        use ServerType::{Array, Json, LowCardinality, Map, Named, Nullable, Tuple};
        let named = |name: &str| Named(name.to_owned());
        let boxed = |name: &str| Box::new(named(name));
        for (text, expected) in [
            ("UInt8", named("UInt8")),
            ("DateTime64(9, 'UTC')", ServerType::DateTime64(9)),
            ("DateTime64(3)", ServerType::DateTime64(3)),
            (
                "LowCardinality(Nullable(String))",
                LowCardinality(Box::new(Nullable(boxed("String")))),
            ),
            (
                "Map(LowCardinality(String), String)",
                Map(Box::new(LowCardinality(boxed("String"))), boxed("String")),
            ),
            ("JSON", Json),
            ("JSON(max_dynamic_paths=3, a.b UInt8)", Json),
            ("Object('json')", Json),
            (
                "Array(Tuple(DateTime64(9), `a b` JSON(x UInt8), n Enum8('(' = 1, ',' = 2)))",
                Array(Box::new(Tuple(vec![
                    ServerType::DateTime64(9),
                    Json,
                    named("Enum8"),
                ]))),
            ),
        ] {
            assert_eq!(ServerType::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn lists_are_cut_between_their_members() {
        assert_eq!(
            split_list("a, f(b, 'x,)'), `c,`"),
            ["a", "f(b, 'x,)')", "`c,`"]
        );
        assert!(split_list("").is_empty());
    }
}
