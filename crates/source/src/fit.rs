//! The type of an export's column, from what a preset declares and what the server has. No value
//! is lost or wrapped: where the server's values do not fit the declared type, its own is taken.

use crate::column_type::{ColumnType, Kind, Scalar};
use crate::server_type::ServerType;

/// Fits a declared type to the column's types in each of a dataset's tables.
pub(crate) fn fit(declared: &ColumnType, servers: &[&ServerType]) -> ColumnType {
    let kind = match &declared.kind {
        Kind::Scalar(scalar) => Kind::Scalar(fit_scalar(*scalar, servers)),
        Kind::Map if servers.iter().any(|server| is_json(server)) => Kind::JsonMap,
        Kind::Map | Kind::JsonMap => declared.kind.clone(),
        Kind::List(element) => {
            let elements: Vec<_> = servers.iter().filter_map(|it| element_of(it)).collect();
            Kind::List(Box::new(fit(element, &elements)))
        }
        Kind::Struct(members) => {
            let members_of_all = servers.iter().filter_map(|server| members_of(server));
            let members_of_all: Vec<_> = members_of_all.collect();
            let of_member = |index| -> Vec<_> {
                let each = members_of_all.iter();
                each.filter_map(|members| members.get(index)).collect()
            };
            let members = members
                .iter()
                .enumerate()
                .map(|(index, (name, member))| (name.clone(), fit(member, &of_member(index))));
            Kind::Struct(members.collect())
        }
    };
    let is_scalar = matches!(kind, Kind::Scalar(_));
    ColumnType {
        kind,
        nullable: declared.nullable || is_scalar && servers.iter().any(|it| it.is_nullable()),
    }
}

fn is_json(server: &ServerType) -> bool {
    *server.bare() == ServerType::Json
}

fn element_of(server: &ServerType) -> Option<&ServerType> {
    match server {
        ServerType::Array(element) => Some(element),
        _ => None,
    }
}

fn members_of(server: &ServerType) -> Option<&[ServerType]> {
    match server {
        ServerType::Tuple(members) => Some(members),
        _ => None,
    }
}

fn fit_scalar(declared: Scalar, servers: &[&ServerType]) -> Scalar {
    let names = servers.iter().filter_map(|server| server.name());
    // The type of a literal NULL.
    let names: Vec<_> = names.filter(|name| *name != "Nothing").collect();
    if names.is_empty() {
        return declared;
    }
    match declared {
        Scalar::Enum | Scalar::Uuid | Scalar::Ipv4 | Scalar::Ipv6 => {
            let is_same = |name: &&str| match declared {
                Scalar::Enum => name.starts_with("Enum"),
                Scalar::Uuid => *name == "UUID",
                Scalar::Ipv4 => *name == "IPv4",
                _ => *name == "IPv6",
            };
            if names.iter().all(is_same) {
                declared
            } else {
                Scalar::String
            }
        }
        Scalar::String | Scalar::Date | Scalar::Timestamp => declared,
        _ => {
            let numbers = names.iter().map(|name| Number::of_server(name));
            // What is no number is cast, as the preset says.
            let joined = numbers.reduce(|one, other| Some(one?.joined(other?)));
            match (Number::of_scalar(declared), joined.flatten()) {
                (Some(declared_as), Some(joined)) if !declared_as.holds(joined) => joined.scalar(),
                _ => declared,
            }
        }
    }
}

/// What numbers a type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Bool,
    Signed(u8),
    Unsigned(u8),
    Float(u8),
    /// More than any of these.
    Text,
}

impl Number {
    fn of_server(name: &str) -> Option<Self> {
        let bits = |prefix| name.strip_prefix(prefix)?.parse::<u16>().ok();
        let small = |bits: u16, make: fn(u8) -> Self| match u8::try_from(bits) {
            Ok(bits) if bits <= 64 => make(bits),
            _ => Self::Text,
        };
        match name {
            "Bool" => Some(Self::Bool),
            "BFloat16" => Some(Self::Float(32)),
            _ => bits("UInt")
                .map(|bits| small(bits, Self::Unsigned))
                .or_else(|| bits("Int").map(|bits| small(bits, Self::Signed)))
                .or_else(|| bits("Float").map(|bits| small(bits, Self::Float))),
        }
    }

    fn of_scalar(scalar: Scalar) -> Option<Self> {
        Some(match scalar {
            Scalar::Bool => Self::Bool,
            Scalar::Int8 => Self::Signed(8),
            Scalar::Int16 => Self::Signed(16),
            Scalar::Int32 => Self::Signed(32),
            Scalar::Int64 => Self::Signed(64),
            Scalar::UInt8 => Self::Unsigned(8),
            Scalar::UInt16 => Self::Unsigned(16),
            Scalar::UInt32 => Self::Unsigned(32),
            Scalar::UInt64 => Self::Unsigned(64),
            Scalar::Float32 => Self::Float(32),
            Scalar::Float64 => Self::Float(64),
            _ => return None,
        })
    }

    fn scalar(self) -> Scalar {
        match self {
            Self::Bool => Scalar::Bool,
            Self::Signed(8) => Scalar::Int8,
            Self::Signed(16) => Scalar::Int16,
            Self::Signed(32) => Scalar::Int32,
            Self::Signed(_) => Scalar::Int64,
            Self::Unsigned(8) => Scalar::UInt8,
            Self::Unsigned(16) => Scalar::UInt16,
            Self::Unsigned(32) => Scalar::UInt32,
            Self::Unsigned(_) => Scalar::UInt64,
            Self::Float(32) => Scalar::Float32,
            Self::Float(_) => Scalar::Float64,
            Self::Text => Scalar::String,
        }
    }

    /// Tells whether each number of the other type is one of this.
    fn holds(self, other: Self) -> bool {
        match (self, other) {
            (Self::Text, _) => true,
            (_, Self::Text) => false,
            (Self::Bool, other) => other == Self::Bool,
            (_, Self::Bool) => true,
            (Self::Signed(bits), Self::Signed(other))
            | (Self::Unsigned(bits), Self::Unsigned(other))
            | (Self::Float(bits), Self::Float(other)) => bits >= other,
            // A double has 53 bits for the digits of a number, a float 24.
            (Self::Signed(bits), Self::Unsigned(other))
            | (Self::Float(bits), Self::Signed(other) | Self::Unsigned(other)) => bits > other,
            (Self::Signed(_) | Self::Unsigned(_), _) => false,
        }
    }

    /// Returns the least type that holds both.
    fn joined(self, other: Self) -> Self {
        let candidates = [
            self,
            other,
            Self::Signed(16),
            Self::Signed(32),
            Self::Signed(64),
            Self::Float(64),
        ];
        let fits = |it: &Self| it.holds(self) && it.holds(other);
        candidates.into_iter().find(fits).unwrap_or(Self::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::fit;
    use crate::column_type::ColumnType;
    use crate::server_type::ServerType;

    fn fitted(declared: &str, servers: &[&str]) -> String {
        let servers: Vec<_> = servers.iter().map(|text| ServerType::parse(text)).collect();
        let servers: Vec<_> = servers.iter().collect();
        fit(&ColumnType::parse(declared).unwrap(), &servers).to_string()
    }

    #[test]
    fn numbers_that_do_not_fit_keep_the_type_of_the_server() {
        for (declared, servers, expected) in [
            ("uint8", &["UInt8"][..], "uint8"),
            ("uint8", &["UInt32"], "uint32"),
            ("uint8", &["Int32"], "int32"),
            ("uint64", &["Int64"], "int64"),
            ("uint64", &["UInt32"], "uint64"),
            ("int32", &["UInt8"], "int32"),
            ("int32", &["UInt32"], "uint32"),
            ("uint8", &["UInt8", "Int32"], "int32"),
            ("uint8", &["UInt32", "Int32"], "int64"),
            ("uint64", &["UInt64", "Int64"], "string"),
            ("uint8", &["Int128"], "string"),
            ("uint8", &["Bool"], "uint8"),
            ("bool", &["UInt8"], "uint8"),
            ("float32", &["Float64"], "float64"),
            ("float64", &["UInt32"], "float64"),
            ("float64", &["UInt64"], "uint64"),
            ("int32", &["Float64"], "float64"),
            ("int32?", &["Nullable(Nothing)", "Int32"], "int32?"),
            ("uint8", &["LowCardinality(Nullable(UInt16))"], "uint16?"),
        ] {
            assert_eq!(
                fitted(declared, servers),
                expected,
                "{declared} {servers:?}"
            );
        }
    }

    #[test]
    fn other_types_follow_the_server_where_they_must() {
        for (declared, server, expected) in [
            ("uuid?", "Nullable(UUID)", "uuid?"),
            ("uuid?", "String", "string?"),
            ("enum", "Enum8('a' = 1)", "enum"),
            ("enum", "LowCardinality(String)", "string"),
            ("string", "UUID", "string"),
            ("string", "Nullable(String)", "string?"),
            ("timestamp", "DateTime64(3, 'UTC')", "timestamp"),
            (
                "map<string, string>",
                "Map(String, String)",
                "map<string, string>",
            ),
            ("map<string, string>", "JSON(a UInt8)", "map<string, json>"),
            (
                "list<struct<at: timestamp, n: uint8, tags: map<string, string>>>",
                "Array(Tuple(DateTime64(9), Int16, JSON))",
                "list<struct<at: timestamp, n: int16, tags: map<string, json>>>",
            ),
        ] {
            assert_eq!(fitted(declared, &[server]), expected, "{declared} {server}");
        }
    }
}
