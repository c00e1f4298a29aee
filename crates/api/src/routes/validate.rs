//! Checks a request against the limits, the datasets and what this service can do, and collects
//! everything that is wrong.

use std::collections::HashSet;

use domain::{ExportRequest, LinkKind, Notify, RequestLimits, Violation};
use serde_json::{Map, Value, json};
use source::Query;

use crate::app::App;
use crate::auth::Principal;

/// Reads the body of a request, and what it means for its dataset and the rows that the caller may see.
///
/// # Errors
///
/// Everything that is wrong with it. The catalogue can only judge a whole request, so for its
/// sake the members that are wrong in themselves are left out or replaced by right ones.
pub(in crate::routes) fn validate(
    app: &App,
    body: &Value,
    limits: &RequestLimits,
    principal: &Principal,
) -> Result<(ExportRequest, Query), Vec<Violation>> {
    let catalogue = app.catalogue.current();
    let resolve = |request: &ExportRequest| {
        catalogue.resolve(request, principal.organization, &principal.narrowed_to)
    };
    match ExportRequest::parse(body, limits) {
        Ok(request) => {
            let violations = refusals(app, &request);
            match resolve(&request) {
                Ok(query) if violations.is_empty() => Ok((request, query)),
                resolved => Err([resolved.err().unwrap_or_default(), violations].concat()),
            }
        }
        Err(mut violations) => {
            let sound = body
                .as_object()
                .map(|members| without(members, &violations))
                .and_then(|sound| ExportRequest::parse(&sound, limits).ok());
            if let Some(request) = sound {
                let resolved = resolve(&request);
                violations.extend(resolved.err().unwrap_or_default());
                violations.extend(refusals(app, &request));
            }
            Err(violations)
        }
    }
}

/// Returns what this service would not do for a request, though it is well formed: call the webhook that
/// it names, or make links of its own.
fn refusals(app: &App, request: &ExportRequest) -> Vec<Violation> {
    let webhook = request.notify.webhook.iter();
    let refused = webhook.filter_map(|webhook| app.webhooks.check(webhook).err());
    let mut violations: Vec<_> = refused
        .map(|detail| Violation::new(Notify::webhook_pointer(), detail))
        .collect();
    if request.notify.link == LinkKind::Service && !app.links.are_absolute() {
        let detail = "cannot be service: the service does not know its public address";
        violations.push(Violation::new(Notify::link_pointer(), detail));
    }
    violations
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
