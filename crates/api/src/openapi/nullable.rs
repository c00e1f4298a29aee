//! Null, which is the same as nothing in the body of a request.

use serde_json::{Map, Value};

/// Lets each member that may be missing be null, in a schema and in those of its members.
pub(super) fn nullable(mut schema: Value) -> Value {
    let required = schema["required"].clone();
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, member) in members.into_iter().flatten() {
        *member = nullable(member.take());
        let is_required = required
            .as_array()
            .is_some_and(|required| required.iter().any(|required| required == name));
        if !is_required && let Value::Object(member) = member {
            or_null(member);
        }
    }
    schema
}

fn or_null(schema: &mut Map<String, Value>) {
    if let Some(own) = schema.get_mut("type") {
        *own = Value::from(vec![own.take(), "null".into()]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::nullable;

    #[test]
    fn what_may_be_missing_may_be_null() {
        let schema = json!({
            "type": "object", "required": ["a"], "properties": {
                "a": { "type": "object", "properties": { "b": { "type": "string", "enum": ["c"] } } },
            },
        });
        let expected = json!({
            "type": "object", "required": ["a"], "properties": {
                "a": { "type": "object", "properties": {
                    "b": { "type": ["string", "null"], "enum": ["c", null] },
                } },
            },
        });
        assert_eq!(nullable(schema), expected);
    }
}
