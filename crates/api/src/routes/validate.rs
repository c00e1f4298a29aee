//! Checks a request against the limits and the datasets, and collects everything that is wrong.

use std::collections::HashSet;

use domain::{ExportRequest, OrganizationId, RequestLimits, Violation};
use serde_json::{Map, Value, json};
use source::{Catalogue, Query};

/// Reads the body of a request, and what it means for its dataset.
///
/// # Errors
///
/// Everything that is wrong with it. The catalogue can only judge a whole request, so for its
/// sake the members that are wrong in themselves are left out or replaced by right ones.
pub(super) fn validate(
    body: &Value,
    limits: &RequestLimits,
    catalogue: &Catalogue,
    organization: OrganizationId,
) -> Result<(ExportRequest, Query), Vec<Violation>> {
    match ExportRequest::parse(body, limits) {
        Ok(request) => catalogue
            .resolve(&request, organization)
            .map(|query| (request, query)),
        Err(mut violations) => {
            let sound = body
                .as_object()
                .map(|members| without(members, &violations))
                .and_then(|sound| ExportRequest::parse(&sound, limits).ok());
            if let Some(request) = sound
                && let Err(more) = catalogue.resolve(&request, organization)
            {
                violations.extend(more);
            }
            Err(violations)
        }
    }
}

/// Repairs a request: takes out what is wrong, and puts something right where there must be
/// something. A wrong data type cannot be repaired.
fn without(members: &Map<String, Value>, violations: &[Violation]) -> Value {
    let wrong: HashSet<String> = violations
        .iter()
        .filter_map(|violation| violation.pointer.as_str().split('/').nth(1))
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut sound: Map<String, Value> = members
        .iter()
        .filter(|(name, _)| !wrong.contains(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if wrong.contains("format") {
        sound.insert("format".into(), json!("csv"));
        sound.remove("options");
    }
    if wrong.contains("start_time") || wrong.contains("end_time") {
        sound.insert("start_time".into(), json!("2000-01-01T00:00:00Z"));
        sound.insert("end_time".into(), json!("2000-01-01T00:00:01Z"));
    }
    Value::Object(sound)
}
