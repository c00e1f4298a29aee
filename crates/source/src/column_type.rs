//! The types that a column can have: how a preset writes them, what ClickHouse casts a column to,
//! and the Arrow type of the export.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// The type of a column or of what is in it, and whether it can be NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnType {
    /// The kind of value.
    pub(crate) kind: Kind,
    /// Whether there can be NULL in place of a value.
    pub(crate) nullable: bool,
}

/// A kind of value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One value.
    Scalar(Scalar),
    /// Texts by text.
    Map,
    /// Values of any type by text: a JSON object, whose paths are the keys.
    JsonMap,
    /// Values of one type in order.
    List(Box<ColumnType>),
    /// Named values.
    Struct(Vec<(String, ColumnType)>),
}

macro_rules! scalars {
    ($($name:ident = $text:literal, $cast:literal, $compare:literal, $arrow:expr;)*) => {
        /// A kind of single value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Scalar { $($name,)* }

        impl Scalar {
            /// Every name, as a preset writes it.
            const NAMES: &[&str] = &[$($text,)*];

            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }

            /// Returns the name, as a preset writes it.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns the ClickHouse type that is read as the Arrow type.
            fn cast(self) -> &'static str {
                match self { $(Self::$name => $cast,)* }
            }

            /// Returns the ClickHouse type that the column is compared with.
            pub(crate) fn compared_as(self) -> &'static str {
                match self { $(Self::$name => $compare,)* }
            }

            /// Returns the Arrow type of the export.
            pub(crate) fn arrow(self) -> DataType {
                match self { $(Self::$name => $arrow,)* }
            }

            /// Tells whether values are texts in the export.
            pub(crate) fn is_text(self) -> bool {
                self.arrow() == DataType::Utf8
            }
        }
    };
}

scalars! {
    String = "string", "String", "String", DataType::Utf8;
    Enum = "enum", "String", "String", DataType::Utf8;
    Uuid = "uuid", "String", "UUID", DataType::Utf8;
    Ipv4 = "ipv4", "String", "IPv4", DataType::Utf8;
    Ipv6 = "ipv6", "String", "IPv6", DataType::Utf8;
    Bool = "bool", "Bool", "Bool", DataType::Boolean;
    Int8 = "int8", "Int8", "Int8", DataType::Int8;
    Int16 = "int16", "Int16", "Int16", DataType::Int16;
    Int32 = "int32", "Int32", "Int32", DataType::Int32;
    Int64 = "int64", "Int64", "Int64", DataType::Int64;
    UInt8 = "uint8", "UInt8", "UInt8", DataType::UInt8;
    UInt16 = "uint16", "UInt16", "UInt16", DataType::UInt16;
    UInt32 = "uint32", "UInt32", "UInt32", DataType::UInt32;
    UInt64 = "uint64", "UInt64", "UInt64", DataType::UInt64;
    Float32 = "float32", "Float32", "Float32", DataType::Float32;
    Float64 = "float64", "Float64", "Float64", DataType::Float64;
    Date = "date", "Date32", "Date32", DataType::Date32;
    Timestamp = "timestamp", "DateTime64(9, 'UTC')", "DateTime64(9, 'UTC')",
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
}

impl ColumnType {
    /// A moment that is always known.
    pub(crate) const TIMESTAMP: Self = Self {
        kind: Kind::Scalar(Scalar::Timestamp),
        nullable: false,
    };

    /// Reads a type as a preset writes it: `uint64`, `string?` (can be NULL),
    /// `map<string, string>`, `list<float64>`, `list<struct<at: timestamp, name: string>>`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text };
        let parsed = parser.column_type()?;
        parser.rest = parser.rest.trim_start();
        if parser.rest.is_empty() {
            Ok(parsed)
        } else {
            Err(format!("has {:?} behind its end", parser.rest))
        }
    }

    /// Returns the Arrow type of the export.
    pub(crate) fn arrow(&self) -> DataType {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.arrow(),
            Kind::Map => map_of(Field::new("value", DataType::Utf8, false)),
            Kind::JsonMap => map_of(json_value()),
            Kind::List(element) => DataType::List(element.field(Field::LIST_FIELD_DEFAULT_NAME)),
            Kind::Struct(members) => DataType::Struct(
                members
                    .iter()
                    .map(|(name, member)| member.field(name))
                    .collect::<Fields>(),
            ),
        }
    }

    /// Returns the type with texts in place of JSON, for a format that has no types in a map.
    pub(crate) fn without_json(&self) -> Self {
        let kind = match &self.kind {
            Kind::JsonMap => Kind::Map,
            Kind::List(element) => Kind::List(Box::new(element.without_json())),
            Kind::Struct(members) => {
                let members = members.iter();
                let members = members.map(|(name, member)| (name.clone(), member.without_json()));
                Kind::Struct(members.collect())
            }
            kind => kind.clone(),
        };
        Self {
            kind,
            nullable: self.nullable,
        }
    }

    /// Returns an Arrow field of this type.
    pub(crate) fn field(&self, name: &str) -> FieldRef {
        Arc::new(Field::new(name, self.arrow(), self.nullable))
    }

    /// Returns the ClickHouse type that a column is cast to when it is read.
    pub(crate) fn clickhouse(&self) -> String {
        let bare = match &self.kind {
            Kind::Scalar(scalar) => scalar.cast().to_owned(),
            Kind::Map => "Map(String, String)".to_owned(),
            Kind::JsonMap => "String".to_owned(),
            Kind::List(element) => format!("Array({})", element.clickhouse()),
            Kind::Struct(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, member)| format!("`{name}` {}", member.clickhouse()))
                    .collect();
                format!("Tuple({})", members.join(", "))
            }
        };
        if self.nullable {
            format!("Nullable({bare})")
        } else {
            bare
        }
    }
}

fn map_of(value: Field) -> DataType {
    let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), value]);
    DataType::Map(
        Arc::new(Field::new("entries", DataType::Struct(entry), false)),
        false,
    )
}

/// The values of a JSON object: each is JSON itself, as Arrow's canonical extension type says.
fn json_value() -> Field {
    let extension = [("ARROW:extension:name".to_owned(), "arrow.json".to_owned())];
    Field::new("value", DataType::Utf8, false).with_metadata(extension)
}

/// Says whether a text is lower-case letters, digits and underscores, a letter first: the form
/// of every public name.
pub(crate) fn is_snake_case(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn column_type(&mut self) -> Result<ColumnType, String> {
        let kind = match self.word() {
            "map" => {
                self.expect('<')?;
                let key = self.column_type()?;
                self.expect(',')?;
                let value = self.column_type()?;
                self.expect('>')?;
                let text = ColumnType {
                    kind: Kind::Scalar(Scalar::String),
                    nullable: false,
                };
                if key != text || value != text {
                    return Err("has a map that is not a map<string, string>".to_owned());
                }
                Kind::Map
            }
            "list" => {
                self.expect('<')?;
                let element = self.column_type()?;
                self.expect('>')?;
                Kind::List(Box::new(element))
            }
            "struct" => {
                self.expect('<')?;
                Kind::Struct(self.members()?)
            }
            word => Kind::Scalar(Scalar::parse(word).ok_or_else(|| {
                let known = Scalar::NAMES.join(", ");
                format!("has the unknown type {word:?}; known are {known}, map, list and struct")
            })?),
        };
        let nullable = self.accept('?');
        if nullable && !matches!(kind, Kind::Scalar(_)) {
            return Err(
                "has a map, list or struct that can be NULL, which no column can".to_owned(),
            );
        }
        Ok(ColumnType { kind, nullable })
    }

    fn members(&mut self) -> Result<Vec<(String, ColumnType)>, String> {
        let mut members: Vec<(String, ColumnType)> = Vec::new();
        loop {
            let name = self.word();
            if !is_snake_case(name) || members.iter().any(|(other, _)| other == name) {
                return Err(format!(
                    "has a member with the wrong or repeated name {name:?}"
                ));
            }
            self.expect(':')?;
            members.push((name.to_owned(), self.column_type()?));
            if !self.accept(',') {
                self.expect('>')?;
                return Ok(members);
            }
        }
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn accept(&mut self, token: char) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(format!("lacks {token:?} before {:?}", self.rest))
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => f.write_str(scalar.as_str()),
            Self::Map => f.write_str("map<string, string>"),
            Self::JsonMap => f.write_str("map<string, json>"),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Struct(members) => {
                f.write_str("struct<")?;
                for (index, (name, member)) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{name}: {member}")?;
                }
                f.write_str(">")
            }
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        f.write_str(if self.nullable { "?" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::ColumnType;

    #[test]
    fn types_read_back_and_say_what_they_are_cast_to() {
        for (text, clickhouse) in [
            ("uint64", "UInt64"),
            ("uuid?", "Nullable(String)"),
            ("timestamp", "DateTime64(9, 'UTC')"),
            ("map<string, string>", "Map(String, String)"),
            (
                "list<struct<at: timestamp, tags: map<string, string>, n: int8?>>",
                "Array(Tuple(`at` DateTime64(9, 'UTC'), `tags` Map(String, String), `n` Nullable(Int8)))",
            ),
        ] {
            let parsed = ColumnType::parse(text).unwrap();
            assert_eq!(parsed.to_string(), text);
            assert_eq!(parsed.clickhouse(), clickhouse);
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "",
            "text",
            "list<",
            "list<int8",
            "list<int8>>",
            "list<int8>?",
            "map<string, int8>",
            "struct<>",
            "struct<A: int8>",
            "struct<a: int8, a: int8>",
            "int8 int8",
        ] {
            assert!(ColumnType::parse(text).is_err(), "{text:?}");
        }
    }
}
