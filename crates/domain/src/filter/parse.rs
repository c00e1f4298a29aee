//! Reading a filter from JSON.

use serde_json::{Map, Value};

use super::{Comparison, Filter, FilterLimits, Op, Scalar};
use crate::members::NUL;
use crate::violation::{Pointer, Violation};

/// Reads either form of a filter.
pub(super) fn expression(
    value: &Value,
    at: &Pointer,
    limits: &FilterLimits,
) -> Result<Filter, Vec<Violation>> {
    let mut parser = Parser {
        limits,
        conditions: 0,
        violations: Vec::new(),
    };
    let expression = parser.root(value, at);
    if parser.conditions > limits.max_conditions {
        let detail = format!(
            "has {} conditions; at most {} are allowed",
            parser.conditions, limits.max_conditions
        );
        parser.reject(at, detail);
    }
    expression
        .filter(|_| parser.violations.is_empty())
        .ok_or(parser.violations)
}

struct Parser<'a> {
    limits: &'a FilterLimits,
    conditions: usize,
    violations: Vec<Violation>,
}

impl Parser<'_> {
    fn reject(&mut self, at: &Pointer, detail: impl Into<String>) {
        self.violations.push(Violation::new(at.clone(), detail));
    }

    fn root(&mut self, value: &Value, at: &Pointer) -> Option<Filter> {
        match value {
            Value::Object(members) if is_expression(members) => self.expression(members, at, 1),
            Value::Object(members) => self.shorthand(members, at),
            _ => {
                self.reject(at, "must be an object");
                None
            }
        }
    }

    fn shorthand(&mut self, members: &Map<String, Value>, at: &Pointer) -> Option<Filter> {
        let parsed: Vec<_> = members
            .iter()
            .map(|(field, value)| {
                let at = at.child(field);
                let op = if value.is_array() { Op::In } else { Op::Eq };
                self.comparison(field, op, Some(value), &at, &at)
            })
            .collect();
        parsed.into_iter().collect::<Option<_>>().map(Filter::All)
    }

    fn nested(&mut self, value: &Value, at: &Pointer, depth: usize) -> Option<Filter> {
        if depth > self.limits.max_depth {
            let detail = format!("is nested deeper than {} levels", self.limits.max_depth);
            self.reject(at, detail);
            return None;
        }
        match value {
            Value::Object(members) if is_expression(members) => self.expression(members, at, depth),
            _ => {
                self.reject(
                    at,
                    r#"must be {"all": […]}, {"any": […]}, {"not": …} or {"field", "op", "value"}"#,
                );
                None
            }
        }
    }

    fn expression(
        &mut self,
        members: &Map<String, Value>,
        at: &Pointer,
        depth: usize,
    ) -> Option<Filter> {
        if members.contains_key("field") {
            return self.field_op_value(members, at);
        }
        if members.len() > 1 {
            self.reject(at, "must have exactly one of \"all\", \"any\" and \"not\"");
            return None;
        }
        let (key, operand) = members.iter().next()?;
        let at = at.child(key);
        if key == "not" {
            return Some(Filter::Not(Box::new(self.nested(
                operand,
                &at,
                depth + 1,
            )?)));
        }
        let Value::Array(operands) = operand else {
            self.reject(&at, "must be an array of filters");
            return None;
        };
        let parsed: Vec<_> = operands
            .iter()
            .enumerate()
            .map(|(index, operand)| self.nested(operand, &at.child(index), depth + 1))
            .collect();
        let parsed = parsed.into_iter().collect::<Option<_>>()?;
        Some(if key == "all" {
            Filter::All(parsed)
        } else {
            Filter::Any(parsed)
        })
    }

    fn field_op_value(&mut self, members: &Map<String, Value>, at: &Pointer) -> Option<Filter> {
        let before = self.violations.len();
        for key in members.keys() {
            if !["field", "op", "value"].contains(&key.as_str()) {
                self.reject(&at.child(key), "is not a member of a condition");
            }
        }
        let field = members.get("field").and_then(Value::as_str);
        if field.is_none() {
            self.reject(&at.child("field"), "must be the name of a field");
        }
        let op = match members.get("op").map(|op| op.as_str().and_then(Op::parse)) {
            Some(Some(op)) => Some(op),
            Some(None) => {
                let detail = format!("must be one of {}", Op::NAMES.join(", "));
                self.reject(&at.child("op"), detail);
                None
            }
            None => {
                self.reject(&at.child("op"), "is required");
                None
            }
        };
        if self.violations.len() > before {
            return None;
        }
        self.comparison(field?, op?, members.get("value"), &at.child("value"), at)
    }

    fn comparison(
        &mut self,
        field: &str,
        op: Op,
        value: Option<&Value>,
        value_at: &Pointer,
        at: &Pointer,
    ) -> Option<Filter> {
        self.conditions += 1;
        if field.contains('\0') {
            self.reject(at, NUL);
            return None;
        }
        let values = match (op, value) {
            (Op::Exists, None) => vec![Scalar::Bool(true)],
            (Op::Exists, Some(Value::Bool(there))) => vec![Scalar::Bool(*there)],
            (Op::Exists, Some(_)) => {
                self.reject(value_at, "must be true or false");
                return None;
            }
            (_, None) => {
                self.reject(value_at, "is required");
                return None;
            }
            (Op::In | Op::NotIn, Some(Value::Array(values))) => self.list(values, value_at)?,
            (Op::In | Op::NotIn, Some(_)) => {
                self.reject(value_at, "must be an array of values");
                return None;
            }
            (_, Some(value)) => vec![self.scalar(value, value_at)?],
        };
        Some(Filter::Compare(Comparison {
            field: field.to_owned(),
            op,
            values,
            pointer: at.clone(),
        }))
    }

    fn list(&mut self, values: &[Value], at: &Pointer) -> Option<Vec<Scalar>> {
        if values.is_empty() || values.len() > self.limits.max_values {
            let detail = format!("must hold 1 to {} values", self.limits.max_values);
            self.reject(at, detail);
            return None;
        }
        let scalars: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(index, value)| self.scalar(value, &at.child(index)))
            .collect();
        scalars.into_iter().collect()
    }

    fn scalar(&mut self, value: &Value, at: &Pointer) -> Option<Scalar> {
        match value {
            Value::String(text) if text.len() > self.limits.max_value_bytes => {
                let detail = format!("is longer than {} bytes", self.limits.max_value_bytes);
                self.reject(at, detail);
                None
            }
            Value::String(text) if text.contains('\0') => {
                self.reject(at, NUL);
                None
            }
            Value::String(text) => Some(Scalar::Text(text.clone())),
            Value::Number(number) => Some(Scalar::Number(number.clone())),
            Value::Bool(truth) => Some(Scalar::Bool(*truth)),
            Value::Null => {
                self.reject(at, "must not be null; use the operator exists");
                None
            }
            Value::Array(_) | Value::Object(_) => {
                self.reject(at, "must be a text, a number, true or false");
                None
            }
        }
    }
}

/// Tells an expression from the shorthand, in which these words would be names of fields.
fn is_expression(members: &Map<String, Value>) -> bool {
    ["all", "any", "not", "field"]
        .iter()
        .any(|word| members.contains_key(*word))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Filter, FilterLimits, Op, Scalar, expression};
    use crate::violation::Pointer;

    const LIMITS: FilterLimits = FilterLimits {
        max_conditions: 4,
        max_depth: 3,
        max_values: 3,
        max_value_bytes: 8,
    };

    fn parse(value: &Value) -> Result<Filter, Vec<String>> {
        expression(value, &Pointer::root().child("filters"), &LIMITS)
            .map_err(|violations| violations.iter().map(ToString::to_string).collect())
    }

    fn errors(value: &Value) -> Vec<String> {
        parse(value).expect_err("the filter is wrong")
    }

    #[test]
    fn the_shorthand_is_equals_or_one_of() {
        let Filter::All(parts) =
            parse(&json!({"service_name": "api", "severity_number": [17, 21]})).unwrap()
        else {
            panic!("all of the fields")
        };
        let [Filter::Compare(first), Filter::Compare(second)] = &parts[..] else {
            panic!("two comparisons")
        };
        assert_eq!(
            (first.op, &first.values[..]),
            (Op::Eq, &[Scalar::Text("api".into())][..])
        );
        assert_eq!((second.op, second.values.len()), (Op::In, 2));
        assert_eq!(first.pointer.as_str(), "/filters/service_name");
    }

    #[test]
    fn expressions_nest() {
        let filter = parse(&json!({"any": [
            {"field": "body", "op": "contains", "value": "x"},
            {"not": {"field": "attributes.k", "op": "exists"}},
        ]}));
        assert!(matches!(filter, Ok(Filter::Any(parts)) if parts.len() == 2));
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        assert_eq!(
            errors(&json!({"all": [
                {"field": "a", "op": "like", "value": 1, "extra": 1},
                {"field": 1, "op": "eq", "value": 1},
                {"field": "a", "op": "in", "value": "x"},
                {"field": "a", "op": "eq", "value": null},
                7,
            ]})),
            [
                "/filters/all/0/extra: is not a member of a condition",
                &format!("/filters/all/0/op: must be one of {}", Op::NAMES.join(", ")),
                "/filters/all/1/field: must be the name of a field",
                "/filters/all/2/value: must be an array of values",
                "/filters/all/3/value: must not be null; use the operator exists",
                "/filters/all/4: must be {\"all\": […]}, {\"any\": […]}, {\"not\": …} or {\"field\", \"op\", \"value\"}",
            ]
        );
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(
            errors(&json!({"a": "123456789"})),
            ["/filters/a: is longer than 8 bytes"]
        );
        assert_eq!(
            errors(&json!({"a": [1, 2, 3, 4]})),
            ["/filters/a: must hold 1 to 3 values"]
        );
        assert_eq!(
            errors(&json!({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1})),
            ["/filters: has 5 conditions; at most 4 are allowed"]
        );
        assert_eq!(
            errors(&json!({"not": {"not": {"not": {"field": "a", "op": "exists"}}}})),
            ["/filters/not/not/not: is nested deeper than 3 levels"]
        );
    }
}
