//! The body of a request for an export, which is read by hand, and examples of it.

use std::borrow::Cow;

use domain::{Compression, Format, Op, options_schema};
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::nullable::nullable;

/// What the schema of a [filter](filter) is called, which refers to itself.
const FILTER: &str = "Filter";

/// The schema of a request.
pub(crate) struct ExportRequestSchema;

impl ToSchema for ExportRequestSchema {
    fn name() -> Cow<'static, str> {
        "ExportRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let filter = serde_json::from_value(filter()).unwrap_or_default();
        schemas.push((FILTER.to_owned(), filter));
    }
}

impl PartialSchema for ExportRequestSchema {
    fn schema() -> RefOr<Schema> {
        serde_json::from_value(nullable(schema())).unwrap_or_default()
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["data_type", "format", "start_time", "end_time"],
        "additionalProperties": false,
        "properties": {
            "data_type": {
                "type": "string", "pattern": "^[a-z0-9_]{1,64}$",
                "description": "A dataset of the catalogue.",
            },
            "format": { "type": "string", "enum": Format::NAMES },
            "compression": {
                "type": "string", "enum": Compression::NAMES, "default": "gzip",
                "description": "Around CSV and JSON; Parquet compresses inside.",
            },
            "start_time": {
                "type": "string", "format": "date-time", "description": "Included.",
            },
            "end_time": {
                "type": "string", "format": "date-time", "description": "Not included.",
            },
            "filters": filters(),
            "columns": {
                "type": "array", "items": { "type": "string" }, "minItems": 1,
                "description": "Public names, in the order of the file; all by default.",
            },
            "options": options(),
        },
    })
}

/// Which rows, in either form.
fn filters() -> Value {
    json!({
        "description": "Which rows. Values by field, of which all must hold; or an expression.",
        "anyOf": [
            {
                "type": "object", "additionalProperties": { "anyOf": [scalar(), scalars()] },
                "description": "Values by field, each one value or an array of which one must hold.",
            },
            { "$ref": format!("#/components/schemas/{FILTER}") },
            { "type": "null" },
        ],
    })
}

/// An expression.
fn filter() -> Value {
    let nested = json!({ "$ref": format!("#/components/schemas/{FILTER}") });
    let member = |name: &str, of: &Value| {
        json!({
            "type": "object", "required": [name], "additionalProperties": false,
            "properties": { name: of },
        })
    };
    let several = json!({ "type": "array", "items": nested });
    json!({
        "description": "All of some filters, any of them, not one of them, or a condition on a field.",
        "anyOf": [
            member("all", &several),
            member("any", &several),
            member("not", &nested),
            {
                "type": "object", "required": ["field", "op"], "additionalProperties": false,
                "properties": {
                    "field": { "type": "string" },
                    "op": { "type": "string", "enum": Op::NAMES },
                    "value": {
                        "description": "An array of values for in and not_in, one value for all others; exists \
                                        needs none, and takes true or false.",
                        "anyOf": [scalar(), scalars()],
                    },
                },
            },
        ],
    })
}

fn scalar() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn scalars() -> Value {
    json!({ "type": "array", "items": scalar(), "minItems": 1 })
}

/// The options of all formats; a request has those of its own.
fn options() -> Value {
    let mut options = json!({
        "type": "object", "additionalProperties": false, "properties": {},
        "description": "order, split, notify, and csv, json or parquet for the options of the format.",
    });
    for format in Format::ALL {
        let of_format = options_schema(*format);
        for (name, option) in of_format["properties"].as_object().into_iter().flatten() {
            options["properties"][name] = option.clone();
        }
    }
    options
}

/// Requests that are accepted: a name, a summary and the body.
pub(super) fn examples() -> [(&'static str, &'static str, Value); 5] {
    [
        (
            "smallest",
            "All logs of a day as CSV, in gzip",
            json!({
                "data_type": "logs", "format": "csv",
                "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
            }),
        ),
        (
            "filtered",
            "Errors of one service, some columns, for a spreadsheet",
            json!({
                "data_type": "logs", "format": "csv", "compression": "none",
                "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
                "filters": { "service_name": "checkout", "severity_text": ["ERROR", "FATAL"] },
                "columns": ["timestamp", "severity_text", "body"],
                "options": { "csv": { "delimiter": ";" } },
            }),
        ),
        (
            "expression",
            "What matches an expression, as JSON lines in Zstandard",
            json!({
                "data_type": "logs", "format": "json", "compression": "zstd",
                "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
                "filters": { "all": [
                    { "field": "severity_number", "op": "gte", "value": 17 },
                    { "any": [
                        { "field": "body", "op": "icontains", "value": "timeout" },
                        { "field": "attributes.http.route", "op": "exists", "value": true },
                    ]},
                    { "not": { "field": "service_name", "op": "eq", "value": "load-test" } },
                ]},
            }),
        ),
        (
            "parquet",
            "Spans as Parquet, in whatever order is fastest",
            json!({
                "data_type": "traces", "format": "parquet",
                "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
                "options": { "order": "storage", "parquet": { "compression": "zstd" } },
            }),
        ),
        (
            "split",
            "All logs of a month, in files of a million rows",
            json!({
                "data_type": "logs", "format": "csv",
                "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z",
                "options": { "split": { "max_rows": 1_000_000 } },
            }),
        ),
    ]
}
