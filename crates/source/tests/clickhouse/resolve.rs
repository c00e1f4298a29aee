//! What of a request the catalogue refuses, and where it says so.

use domain::{ExportRequest, Narrowing, RequestLimits};
use serde_json::{Value, json};
use source::{Catalogue, TELEMETRYFLOW_PRESET};

fn violations(data_type: &str, changes: &Value) -> Vec<String> {
    let mut body = json!({
        "data_type": data_type, "format": "csv",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    let request = ExportRequest::parse(&body, &RequestLimits::NONE).unwrap();
    let catalogue = Catalogue::load(&[("telemetryflow", TELEMETRYFLOW_PRESET)]).unwrap();
    let organization = "0192f0c1-2345-7000-8000-000000000001".parse().unwrap();
    match catalogue.resolve(&request, organization, &Narrowing::default()) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn an_unknown_dataset_is_refused_with_the_known_ones() {
    assert_eq!(
        violations("profiles", &json!({})),
        ["/data_type: is unknown; known are logs, metrics, traces"]
    );
}

#[test]
fn columns_and_filters_are_checked_together() {
    let found = violations(
        "metrics",
        &json!({
            "columns": ["timestamp", "Value", "value"],
            "filters": {"metric": "cpu", "metric_type": "gauge", "value": [1, "2"]},
        }),
    );
    let known = "timestamp, metric_name, metric_type, value, service_name, organization_id, \
                 workspace_id, tenant_id";
    let columns = "resource_attributes, scope_name, scope_version, attributes, unit";
    let fields = "resource_attributes.<key>, scope_name, scope_version, attributes.<key>, unit";
    assert_eq!(
        found,
        [
            format!("/columns/1: is unknown; known are {known}, {columns}"),
            format!(
                "/filters/metric: the field \"metric\" is unknown; known are {known}, {fields}"
            ),
            "/filters/value/1: must be a number".to_owned(),
        ]
    );
}

#[test]
fn an_expression_is_blamed_where_it_is_wrong() {
    let found = violations(
        "traces",
        &json!({"filters": {"any": [
            {"field": "duration_nano", "op": "contains", "value": "1"},
            {"field": "duration_nano", "op": "lt", "value": -1},
            {"not": {"field": "workspace_id", "op": "in", "value": ["x"]}},
            {"field": "timestamp", "op": "gt", "value": "yesterday"},
            {"field": "span_name", "op": "matches", "value": "("},
            {"field": "attributes", "op": "eq", "value": "x"},
            {"field": "attributes.", "op": "eq", "value": "x"},
            {"field": "attributes.http.route", "op": "contains", "value": 5},
            {"field": "attributes.http.status", "op": "gte", "value": "500"},
            {"field": "events", "op": "exists"},
            {"field": "span_name", "op": "gt", "value": "x"},
            {"field": "status_code", "op": "eq", "value": "ERROR"},
        ]}}),
    );
    assert_eq!(
        found,
        [
            "/filters/any/0/op: duration_nano has no contains; it has eq, ne, in, not_in, gt, gte, \
             lt, lte, exists",
            "/filters/any/1/value: must be a whole number from 0 to 18446744073709551615",
            "/filters/any/2/not/value/0: must be a UUID",
            "/filters/any/3/value: must be an RFC 3339 time with a zone, such as \
             2026-01-01T00:00:00Z",
            "/filters/any/4/value: must be a regular expression in RE2 syntax",
            "/filters/any/5/field: attributes needs a key, as in \"attributes.key\"",
            "/filters/any/6/field: attributes needs a key, as in \"attributes.key\"",
            "/filters/any/7/value: must be a text",
            "/filters/any/8/value: must be a number",
            "/filters/any/9/field: the field \"events\" cannot be filtered on",
            "/filters/any/10/op: span_name has no gt; it has eq, ne, in, not_in, contains, \
             icontains, starts_with, ends_with, matches, exists",
        ]
    );
}

#[test]
fn a_filter_may_name_columns_that_are_not_exported() {
    let found = violations(
        "logs",
        &json!({"columns": ["body"], "filters": {"service_name": "a"}}),
    );
    assert!(found.is_empty(), "{found:?}");
}
