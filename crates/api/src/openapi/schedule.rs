//! The body of a request for a schedule, which is read by hand, and an example of it.

use std::borrow::Cow;

use domain::Window;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::nullable::nullable;

/// The schema of a request for a schedule.
pub(crate) struct ScheduleRequestSchema;

impl ToSchema for ScheduleRequestSchema {
    fn name() -> Cow<'static, str> {
        "ScheduleRequest".into()
    }
}

impl PartialSchema for ScheduleRequestSchema {
    fn schema() -> RefOr<Schema> {
        serde_json::from_value(nullable(schema())).unwrap_or_default()
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["name", "cron", "time_zone", "last", "export"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "minLength": 1, "maxLength": 100 },
            "cron": {
                "type": "string", "maxLength": 100,
                "description": "Minute, hour, day of the month, month and day of the week.",
            },
            "time_zone": {
                "type": "string", "description": "A name of the IANA time zone database.",
            },
            "last": {
                "type": "string", "enum": Window::NAMES,
                "description": "Each export is of the last whole one of these before its run, in \
                                the time zone.",
            },
            "prefix": {
                "type": "string",
                "description": "Where the files are in the bucket, below the organization.",
            },
            "export": {
                "type": "object",
                "description": "A request for an export, without start_time and end_time.",
            },
        },
    })
}

/// Requests that are accepted: a name, a summary and the body.
pub(super) fn examples() -> [(&'static str, &'static str, Value); 1] {
    [(
        "daily",
        "The errors of each day, as soon as it is over",
        example(),
    )]
}

pub(super) fn example() -> Value {
    json!({
        "name": "Errors of the day", "cron": "30 2 * * *", "time_zone": "Europe/Berlin",
        "last": "day", "prefix": "nightly/errors",
        "export": {
            "data_type": "logs", "format": "parquet",
            "filters": { "severity_text": ["ERROR", "FATAL"] },
        },
    })
}
