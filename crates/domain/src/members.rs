//! Reading the members of a JSON object, with everything that is wrong with them at once.

use serde_json::{Map, Value};

use crate::violation::{Pointer, Violation};

/// The members of a JSON object, taken one by one; what is left is unknown.
pub(crate) struct Members<'a> {
    object: &'a Map<String, Value>,
    at: Pointer,
    known: Vec<&'static str>,
    violations: Vec<Violation>,
}

impl<'a> Members<'a> {
    pub(crate) fn of(value: &'a Value, at: Pointer) -> Result<Self, Vec<Violation>> {
        match value {
            Value::Object(object) => Ok(Self {
                object,
                at,
                known: Vec::new(),
                violations: Vec::new(),
            }),
            _ => Err(one(&at, "must be an object")),
        }
    }

    /// Reads a member that may be missing; `null` is the same as missing.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Value, &Pointer) -> Result<T, Vec<Violation>>,
    ) -> Option<T> {
        self.known.push(name);
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        let result = read(value, &self.at.child(name));
        self.keep(result)
    }

    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Value, &Pointer) -> Result<T, Vec<Violation>>,
    ) -> Option<T> {
        if self.object.get(name).is_none_or(Value::is_null) {
            self.known.push(name);
            let at = self.at.child(name);
            self.violations.push(Violation::new(at, "is required"));
            return None;
        }
        self.optional(name, read)
    }

    /// Knows a member without reading it, since what it means depends on one that is wrong.
    pub(crate) fn ignored<T>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        None
    }

    /// Blames a member for a check that spans several.
    pub(crate) fn checked<T>(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Result<T, String>,
    ) -> Option<T> {
        let at = self.at.child(name);
        self.keep(check().map_err(|detail| one(&at, detail)))
    }

    fn keep<T>(&mut self, result: Result<T, Vec<Violation>>) -> Option<T> {
        result
            .map_err(|violations| self.violations.extend(violations))
            .ok()
    }

    pub(crate) fn finish(mut self) -> Result<(), Vec<Violation>> {
        for name in self.object.keys() {
            if !self.known.contains(&name.as_str()) {
                let at = self.at.child(name);
                let detail = format!("is unknown; known are {}", self.known.join(", "));
                self.violations.push(Violation::new(at, detail));
            }
        }
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(self.violations)
        }
    }
}

pub(crate) fn text<'a>(value: &'a Value, at: &Pointer) -> Result<&'a str, Vec<Violation>> {
    value.as_str().ok_or_else(|| one(at, "must be a text"))
}

/// Says that a text holds what neither `text` nor `jsonb` of Postgres can.
pub(crate) const NUL: &str = "must not contain the character U+0000";

pub(crate) fn one_of<T>(
    value: &Value,
    at: &Pointer,
    parse: impl FnOnce(&str) -> Option<T>,
    names: &[&str],
) -> Result<T, Vec<Violation>> {
    value
        .as_str()
        .and_then(parse)
        .ok_or_else(|| one(at, format!("must be one of {}", names.join(", "))))
}

pub(crate) fn one(at: &Pointer, detail: impl Into<String>) -> Vec<Violation> {
    vec![Violation::new(at.clone(), detail)]
}
