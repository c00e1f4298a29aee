//! Reads the text of a type, as it is in the header of a column.
//!
//! The texts are those that `IDataType::getName` makes: there is one way to write each type, and
//! white space only after commas, around `=` and after names.

use std::sync::Arc;

use super::lexer::Lexer;
use super::{Type, TypeError};
use crate::limits::Limits;

/// Reads a type within the limits of its depth and of its parts.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Type, TypeError> {
    let mut parser = Parser {
        text: Lexer::new(text),
        depth: 0,
        parts: 0,
        limits,
    };
    let parsed = parser.nested()?;
    if parser.text.is_empty() {
        Ok(parsed)
    } else {
        Err(parser.text.malformed("goes on"))
    }
}

struct Parser<'a> {
    text: Lexer<'a>,
    depth: usize,
    parts: usize,
    limits: &'a Limits,
}

impl Parser<'_> {
    fn nested(&mut self) -> Result<Type, TypeError> {
        if self.depth == self.limits.type_depth {
            return Err(TypeError::TooDeep(self.depth));
        }
        if self.parts == self.limits.type_parts {
            return Err(TypeError::TooMany(self.parts));
        }
        self.depth += 1;
        self.parts += 1;
        let parsed = self.any();
        self.depth -= 1;
        parsed
    }

    fn any(&mut self) -> Result<Type, TypeError> {
        let name = self.text.word();
        Ok(match name {
            "Bool" => Type::Bool,
            "Int8" => Type::Int8,
            "Int16" => Type::Int16,
            "Int32" => Type::Int32,
            "Int64"
            | "IntervalNanosecond"
            | "IntervalMicrosecond"
            | "IntervalMillisecond"
            | "IntervalSecond"
            | "IntervalMinute"
            | "IntervalHour"
            | "IntervalDay"
            | "IntervalWeek"
            | "IntervalMonth"
            | "IntervalQuarter"
            | "IntervalYear" => Type::Int64,
            "Int128" => Type::Int128,
            "Int256" => Type::Int256,
            "UInt8" => Type::UInt8,
            "UInt16" => Type::UInt16,
            "UInt32" => Type::UInt32,
            "UInt64" => Type::UInt64,
            "UInt128" => Type::UInt128,
            "UInt256" => Type::UInt256,
            "BFloat16" => Type::BFloat16,
            "Float32" => Type::Float32,
            "Float64" => Type::Float64,
            "String" => Type::String,
            "Date" => Type::Date,
            "Date32" => Type::Date32,
            "Time" => Type::Time,
            "UUID" => Type::Uuid,
            "IPv4" => Type::Ipv4,
            "IPv6" => Type::Ipv6,
            "Nothing" => Type::Nothing,
            "Point" => point(),
            "Ring" | "LineString" | "MultiPoint" => array(point()),
            "Polygon" | "MultiLineString" => array(array(point())),
            "MultiPolygon" => array(array(array(point()))),
            "Decimal" => self.decimal()?,
            "FixedString" => self.fixed_string()?,
            "JSON" => self.json()?,
            "DateTime" => Type::DateTime { zone: self.zone()? },
            "DateTime64" => self.date_time_64()?,
            "Time64" => self.time_64()?,
            "Enum8" => Type::Enum8(self.names(i16::from(i8::MIN)..=i16::from(i8::MAX))?),
            "Enum16" => Type::Enum16(self.names(i16::MIN..=i16::MAX)?),
            "Nullable" => self.nullable()?,
            "LowCardinality" => self.low_cardinality()?,
            "Array" => array(self.argument()?),
            "Map" => self.map()?,
            "Tuple" => Type::Tuple(self.members()?),
            "Nested" => array(Type::Tuple(self.members()?)),
            "SimpleAggregateFunction" => self.simple_aggregate_function()?,
            "" => return Err(self.text.malformed("has no name")),
            _ => return Err(unsupported(name)),
        })
    }

    fn decimal(&mut self) -> Result<Type, TypeError> {
        self.text.expect("(")?;
        let precision = self.text.number(1..=76)?;
        self.text.expect(", ")?;
        let scale = self.text.number(0..=i64::from(precision))?;
        self.text.expect(")")?;
        Ok(Type::Decimal { precision, scale })
    }

    fn fixed_string(&mut self) -> Result<Type, TypeError> {
        self.text.expect("(")?;
        // ClickHouse allows no more, and none of no bytes.
        let width = self.text.number(1..=0xff_ff_ff)?;
        self.text.expect(")")?;
        Ok(Type::FixedString(width))
    }

    /// Reads how JSON is stored, which says nothing of its text: `JSON(max_dynamic_paths=3, a.b UInt8, SKIP c)`.
    fn json(&mut self) -> Result<Type, TypeError> {
        if self.text.starts_with('(') {
            self.text.skip_parentheses()?;
        }
        Ok(Type::Json)
    }

    /// Reads the time zone of a `DateTime`. Without one it is an instant all the same.
    fn zone(&mut self) -> Result<Arc<str>, TypeError> {
        if !self.text.accept("(") {
            return Ok("UTC".into());
        }
        let zone = self.text.quoted('\'')?;
        self.text.expect(")")?;
        Ok(zone.into())
    }

    fn date_time_64(&mut self) -> Result<Type, TypeError> {
        self.text.expect("(")?;
        let precision = self.text.number(0..=9)?;
        let zone = if self.text.accept(", ") {
            self.text.quoted('\'')?.into()
        } else {
            "UTC".into()
        };
        self.text.expect(")")?;
        Ok(Type::DateTime64 { precision, zone })
    }

    fn time_64(&mut self) -> Result<Type, TypeError> {
        self.text.expect("(")?;
        let precision = self.text.number(0..=9)?;
        self.text.expect(")")?;
        Ok(Type::Time64 { precision })
    }

    fn names(
        &mut self,
        range: std::ops::RangeInclusive<i16>,
    ) -> Result<Vec<(i16, String)>, TypeError> {
        self.text.expect("(")?;
        let mut names = Vec::new();
        loop {
            let name = self.text.quoted('\'')?;
            self.text.expect(" = ")?;
            let number = self
                .text
                .number(i64::from(*range.start())..=i64::from(*range.end()))?;
            names.push((number, name));
            if !self.text.accept(", ") {
                break;
            }
        }
        self.text.expect(")")?;
        names.sort_by_key(|(number, _)| *number);
        if names.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(self.text.malformed("has a number twice"));
        }
        Ok(names)
    }

    fn nullable(&mut self) -> Result<Type, TypeError> {
        match self.argument()? {
            Type::Nullable(_) | Type::LowCardinality(_) => Err(self
                .text
                .malformed("is a Nullable of what can be NULL itself")),
            inner => Ok(Type::Nullable(Box::new(inner))),
        }
    }

    fn low_cardinality(&mut self) -> Result<Type, TypeError> {
        let inner = self.argument()?;
        let value = match &inner {
            Type::Nullable(value) => value,
            value => value,
        };
        match value {
            Type::LowCardinality(_)
            | Type::Array(_)
            | Type::Map(..)
            | Type::Tuple(_)
            | Type::Json
            | Type::Enum8(_)
            | Type::Enum16(_)
            | Type::Nothing => Err(self
                .text
                .malformed("is a LowCardinality of what is no single value")),
            _ => Ok(Type::LowCardinality(Box::new(inner))),
        }
    }

    fn map(&mut self) -> Result<Type, TypeError> {
        self.text.expect("(")?;
        let key = self.nested()?;
        self.text.expect(", ")?;
        let value = self.nested()?;
        self.text.expect(")")?;
        Ok(Type::Map(Box::new(key), Box::new(value)))
    }

    /// Reads the members of a tuple; those that have no name are called `1`, `2`, …, as in SQL.
    fn members(&mut self) -> Result<Vec<(String, Type)>, TypeError> {
        let mut members = Vec::new();
        self.text.expect("(")?;
        if self.text.accept(")") {
            return Ok(members);
        }
        loop {
            let name = match self.member_name()? {
                Some(name) => name,
                None => (members.len() + 1).to_string(),
            };
            members.push((name, self.nested()?));
            if !self.text.accept(", ") {
                break;
            }
        }
        self.text.expect(")")?;
        Ok(members)
    }

    /// Reads the name of a member, if it has one: only behind a name is there a space.
    fn member_name(&mut self) -> Result<Option<String>, TypeError> {
        if self.text.starts_with('`') {
            let name = self.text.quoted('`')?;
            self.text.expect(" ")?;
            return Ok(Some(name));
        }
        let before = self.text;
        let name = self.text.word();
        if !name.is_empty() && self.text.accept(" ") {
            return Ok(Some(name.to_owned()));
        }
        self.text = before;
        Ok(None)
    }

    /// Reads the type that the values of an aggregate have, which are stored as they are.
    fn simple_aggregate_function(&mut self) -> Result<Type, TypeError> {
        self.text.expect("(")?;
        let function = self.text.word();
        if self.text.starts_with('(') {
            // Parameters of the function: nothing that this crate can check.
            return Err(unsupported(&format!(
                "SimpleAggregateFunction({function}(…), …)"
            )));
        }
        self.text.expect(", ")?;
        let value = self.nested()?;
        self.text.expect(")")?;
        Ok(value)
    }

    fn argument(&mut self) -> Result<Type, TypeError> {
        self.text.expect("(")?;
        let argument = self.nested()?;
        self.text.expect(")")?;
        Ok(argument)
    }
}

fn unsupported(name: &str) -> TypeError {
    TypeError::Unsupported(name.chars().take(80).collect())
}

fn array(element: Type) -> Type {
    Type::Array(Box::new(element))
}

fn point() -> Type {
    let members = ["1", "2"].map(|name| (name.to_owned(), Type::Float64));
    Type::Tuple(members.to_vec())
}

#[cfg(test)]
mod tests;
