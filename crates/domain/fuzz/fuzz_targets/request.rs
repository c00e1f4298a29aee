//! `cargo xtask fuzz`: whatever the body of a request is, reading it ends, without a panic. What is wrong
//! is told with its place, and what is right reads back the same from what is stored of it.

#![no_main]

use chrono::{SecondsFormat, TimeDelta};
use domain::{ExportRequest, FilterLimits, Filters, RequestLimits};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const LIMITS: RequestLimits = RequestLimits {
    filter: FilterLimits {
        max_conditions: 8,
        max_depth: 4,
        max_values: 4,
        max_value_bytes: 64,
    },
    max_range: TimeDelta::days(31),
    max_columns: 8,
};

fuzz_target!(|data: &[u8]| {
    let Ok(body) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let request = match ExportRequest::parse(&body, &LIMITS) {
        Ok(request) => request,
        Err(violations) => {
            assert!(!violations.is_empty());
            for violation in violations {
                assert!(!violation.detail.is_empty());
                let pointer = violation.pointer.as_str();
                // What is missing is named where it would stand.
                let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                assert!(body.pointer(parent).is_some(), "{pointer} in {body}");
            }
            return;
        }
    };
    assert_eq!(
        ExportRequest::parse(&body, &RequestLimits::NONE),
        Ok(request.clone())
    );
    assert_eq!(
        ExportRequest::parse(&stored(&request), &RequestLimits::NONE),
        Ok(request.clone())
    );
    assert!(
        request
            .file_name(1)
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
    );
});

/// Writes a request as its row in the database has it.
fn stored(request: &ExportRequest) -> Value {
    let time =
        |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut stored = json!({
        "data_type": request.data_type.as_str(),
        "format": request.output.format().as_str(),
        "compression": request.output.compression().as_str(),
        "start_time": time(request.range.start()),
        "end_time": time(request.range.end()),
        "options": request.options_json(),
    });
    if let Some(filters) = request.filters.as_ref().map(Filters::as_posted) {
        stored["filters"] = filters.clone();
    }
    if let Some(columns) = &request.columns {
        stored["columns"] = json!(columns);
    }
    stored
}
