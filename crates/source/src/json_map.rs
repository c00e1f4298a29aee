//! JSON objects, as ClickHouse writes those of a `JSON` column, turned into maps: each path that has
//! a value is a key, with dots between its parts.

use arrow::array::{ArrayRef, AsArray, MapArray, StringBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};
use std::sync::Arc;

/// How deep objects may be nested. ClickHouse reads a thousand levels.
const MAX_DEPTH: usize = 1024;

/// The most bytes that the texts of an array can have: its offsets have 31 bits.
const MAX_BYTES: usize = i32::MAX as usize;

/// Tells whether the values of a map are JSON: numbers are told from texts. Otherwise they are texts.
pub(crate) fn is_typed(entries: &Fields) -> bool {
    let value = entries.get(1).map(|value| value.metadata());
    value.is_some_and(|metadata| metadata.contains_key("ARROW:extension:name"))
}

/// Turns texts into maps with these entries. A NULL has no entries.
///
/// # Errors
///
/// What is wrong with the texts, as a predicate.
pub(crate) fn maps(texts: &ArrayRef, entries: &FieldRef) -> Result<MapArray, String> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err("is a map of no entries".to_owned());
    };
    let mut flattener = Flattener {
        is_typed: is_typed(fields),
        path: String::new(),
        keys: StringBuilder::new(),
        values: StringBuilder::new(),
        bytes: 0,
    };
    let mut lengths = Vec::with_capacity(texts.len());
    for text in texts.as_binary::<i32>() {
        let before = flattener.entries();
        if let Some(text) = text {
            flattener.add(&String::from_utf8_lossy(text))?;
        }
        lengths.push(flattener.entries() - before);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(flattener.keys.finish()),
        Arc::new(flattener.values.finish()),
    ];
    let structure = StructArray::try_new(fields.clone(), columns, None);
    let structure = structure.map_err(|error| error.to_string())?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    MapArray::try_new(Arc::clone(entries), offsets, structure, None, false)
        .map_err(|error| error.to_string())
}

struct Flattener {
    is_typed: bool,
    /// Where the value is that comes next.
    path: String,
    keys: StringBuilder,
    values: StringBuilder,
    bytes: usize,
}

impl Flattener {
    fn entries(&self) -> usize {
        arrow::array::ArrayBuilder::len(&self.keys)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        self.path.clear();
        let mut cursor = Cursor { rest: text };
        self.object(&mut cursor, 0)
            .and_then(|()| cursor.end())
            .ok_or_else(|| "is a text that is no JSON object".to_owned())?;
        if self.bytes > MAX_BYTES {
            return Err("has more keys and values than fit into one piece".to_owned());
        }
        Ok(())
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Option<()> {
        cursor.expect('{')?;
        if depth == MAX_DEPTH || self.bytes > MAX_BYTES {
            return None;
        }
        if cursor.accept('}') {
            return Some(());
        }
        loop {
            let length = self.path.len();
            if depth > 0 {
                self.path.push('.');
            }
            let name = unquoted(cursor.string()?)?;
            // A writer can escape the dots of a name, so that it is one part of the path.
            self.path.push_str(&name.replace("%2E", "."));
            cursor.expect(':')?;
            match cursor.peek()? {
                '{' if !cursor.is_empty_object() => self.object(cursor, depth + 1)?,
                _ => self.value(cursor)?,
            }
            self.path.truncate(length);
            if !cursor.accept(',') {
                return cursor.expect('}');
            }
        }
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let raw = cursor.value()?;
        let value = match (raw.starts_with('"'), self.is_typed) {
            (true, false) => unquoted(raw)?,
            _ => raw.replace("\\/", "/"),
        };
        self.bytes = self.bytes.saturating_add(self.path.len() + value.len());
        if self.bytes <= MAX_BYTES {
            self.keys.append_value(&self.path);
            self.values.append_value(value);
        }
        Some(())
    }
}

fn unquoted(text: &str) -> Option<String> {
    if text.contains('\\') {
        return serde_json::from_str(text).ok();
    }
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.to_owned())
}

/// Goes through JSON that an engine has written.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.chars().next()
    }

    fn accept(&mut self, token: char) -> bool {
        let is_next = self.peek() == Some(token);
        if is_next {
            self.rest = &self.rest[token.len_utf8()..];
        }
        is_next
    }

    fn expect(&mut self, token: char) -> Option<()> {
        self.accept(token).then_some(())
    }

    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    fn is_empty_object(&self) -> bool {
        let mut ahead = Cursor { rest: self.rest };
        ahead.accept('{') && ahead.accept('}')
    }

    /// Takes a string with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        if self.peek()? != '"' {
            return None;
        }
        let mut is_escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let (string, rest) = self.rest.split_at(end + 2);
        self.rest = rest;
        Some(string)
    }

    /// Takes a value as it is written.
    fn value(&mut self) -> Option<&'a str> {
        match self.peek()? {
            '"' => return self.string(),
            '[' | '{' => {}
            _ => {
                let end = self.rest.find([',', '}', ']', ' ', '\n'])?;
                let (value, rest) = self.rest.split_at(end);
                self.rest = rest;
                return (!value.is_empty()).then_some(value);
            }
        }
        let start = self.rest;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                '"' => {
                    self.string()?;
                    continue;
                }
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            let width = self.rest.chars().next()?.len_utf8();
            self.rest = &self.rest[width..];
            if depth == 0 {
                return Some(&start[..start.len() - self.rest.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
    use arrow::datatypes::DataType;

    use super::maps;
    use crate::column_type::{ColumnType, Kind};

    /// The keys and values of a map.
    fn flattened(kind: Kind, text: &str) -> Result<Vec<(String, String)>, String> {
        let column_type = ColumnType {
            kind,
            nullable: false,
        };
        let DataType::Map(entries, _) = column_type.arrow() else {
            panic!("no map")
        };
        let texts: ArrayRef = Arc::new(BinaryArray::from(vec![text.as_bytes()]));
        let maps = maps(&texts, &entries)?;
        assert_eq!(maps.len(), 1);
        let texts = |column: &ArrayRef| -> Vec<_> {
            let texts = column.as_string::<i32>().iter();
            texts.map(|text| text.unwrap().to_owned()).collect()
        };
        let (keys, values) = (texts(maps.keys()), texts(maps.values()));
        Ok(keys.into_iter().zip(values).collect())
    }

    const OBJECT: &str = r#"{"a":{"b":1,"c.d":{"e":"x\/\"y\""}},"n":null,"t":true,
        "l":[1,"]\"",{"k":"\/"}],"f":-0.5e3,"%2E":"dot","":"","o":{},"ü":"ü"}"#;

    #[test]
    fn paths_are_keys_and_values_are_texts() {
        let found = flattened(Kind::Map, OBJECT).unwrap();
        let expected = [
            ("a.b", "1"),
            ("a.c.d.e", "x/\"y\""),
            ("n", "null"),
            ("t", "true"),
            ("l", r#"[1,"]\"",{"k":"/"}]"#),
            ("f", "-0.5e3"),
            (".", "dot"),
            ("", ""),
            ("o", "{}"),
            ("ü", "ü"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn values_that_are_json_are_valid_and_of_the_same_type() {
        let found = flattened(Kind::JsonMap, OBJECT).unwrap();
        let of = |key: &str| {
            let value = found.iter().find(|(other, _)| other == key).unwrap();
            serde_json::from_str::<serde_json::Value>(&value.1).unwrap()
        };
        assert_eq!(of("a.b"), 1);
        assert_eq!(of("a.c.d.e"), "x/\"y\"");
        assert_eq!(of("n"), serde_json::Value::Null);
        assert_eq!(of("l"), serde_json::json!([1, "]\"", {"k": "/"}]));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "1",
            "[]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":[1}"#,
            "{} x",
            r#"{"a":"}"#,
        ] {
            assert!(flattened(Kind::Map, text).is_err(), "{text}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
        assert!(flattened(Kind::Map, &deep).is_err());
        assert_eq!(flattened(Kind::Map, "{}"), Ok(Vec::new()));
    }
}
