//! The types of the tests, read from their texts in a way of their own: splitting at commas.

/// A type.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    /// A number of so many bytes.
    Number(usize),
    /// A text of any length.
    String,
    /// A text of so many bytes.
    FixedString(usize),
    /// Whatever else has so many bytes, and becomes a text.
    Text(&'static str, usize),
    /// A number of so many bytes, and the names.
    Enum(usize, Vec<(i128, String)>),
    /// A time of so many bytes, to be multiplied.
    Time(usize, i128),
    /// What can be NULL.
    Nullable(Box<Type>),
    /// Any number.
    List(Box<Type>),
    /// Any number of two.
    Map(Box<[Type; 2]>),
    /// A fixed number.
    Tuple(Vec<Type>),
}

impl Type {
    pub(crate) fn parse(text: &str) -> Self {
        let (name, inner) = match text.split_once('(') {
            Some((name, inner)) => (name, inner.strip_suffix(')').unwrap()),
            None => (text, ""),
        };
        let nested = |text: &str| Box::new(Self::parse(text));
        match name {
            "Int8" | "UInt8" | "Bool" => Self::Number(1),
            "Int16" | "UInt16" | "Date" => Self::Number(2),
            "Int32" | "UInt32" | "Float32" | "Date32" | "DateTime" => Self::Number(4),
            "Int64" | "UInt64" | "Float64" => Self::Number(8),
            "Decimal" => {
                let precision: u32 = split(inner)[0].parse().unwrap();
                Self::Number(match precision {
                    ..=9 => 4,
                    10..=18 => 8,
                    19..=38 => 16,
                    _ => 32,
                })
            }
            "DateTime64" => {
                let precision: u32 = split(inner)[0].parse().unwrap();
                Self::Time(8, 10_i128.pow(precision.next_multiple_of(3) - precision))
            }
            "String" | "JSON" => Self::String,
            "FixedString" => Self::FixedString(inner.parse().unwrap()),
            "UUID" => Self::Text("UUID", 16),
            "IPv4" => Self::Text("IPv4", 4),
            "IPv6" => Self::Text("IPv6", 16),
            "Int128" => Self::Text("Int128", 16),
            "UInt128" => Self::Text("UInt128", 16),
            "Int256" => Self::Text("Int256", 32),
            "UInt256" => Self::Text("UInt256", 32),
            "Enum8" => Self::Enum(1, names(inner)),
            "Enum16" => Self::Enum(2, names(inner)),
            "Nullable" => Self::Nullable(nested(inner)),
            "LowCardinality" => Self::parse(inner),
            "Array" => Self::List(nested(inner)),
            "Map" => {
                let [key, value] = split(inner)[..] else {
                    panic!("{text}");
                };
                Self::Map(Box::new([Self::parse(key), Self::parse(value)]))
            }
            "Tuple" => Self::Tuple(split(inner).into_iter().map(Self::member).collect()),
            "Nested" => {
                let members = split(inner).into_iter().map(Self::member);
                Self::List(Box::new(Self::Tuple(members.collect())))
            }
            "Point" => Self::Tuple(vec![Self::Number(8), Self::Number(8)]),
            "Ring" => Self::List(nested("Point")),
            "MultiPolygon" => Self::List(Box::new(Self::List(nested("Ring")))),
            _ => panic!("{text}"),
        }
    }

    fn member(text: &str) -> Self {
        // The names in these tests have neither spaces nor parentheses.
        let space = text.find(' ').unwrap_or(text.len());
        match text.find(['(', ',']) {
            Some(other) if other < space => Self::parse(text),
            _ if space < text.len() => Self::parse(&text[space + 1..]),
            _ => Self::parse(text),
        }
    }
}

fn names(text: &str) -> Vec<(i128, String)> {
    split(text)
        .into_iter()
        .map(|each| {
            let (name, number) = each.rsplit_once(" = ").unwrap();
            (number.parse().unwrap(), name.trim_matches('\'').to_owned())
        })
        .collect()
}

/// Splits at the commas that are not inside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (place, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..place].trim());
                start = place + 1;
            }
            _ => {}
        }
    }
    if !text.is_empty() {
        parts.push(text[start..].trim());
    }
    parts
}
