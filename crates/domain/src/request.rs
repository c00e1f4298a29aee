//! A request for an export, read from JSON with everything that is wrong with it at once.

mod options;

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::error::{ErrorCode, Failure};
use crate::filter::{FilterLimits, Filters};
use crate::members::{Members, one, one_of, text};
use crate::notify::Notify;
use crate::output::{Compression, Format, Output, RowOrder};
use crate::request::options::Options;
pub use crate::request::options::options_schema;
use crate::split::Split;
use crate::time::parse_time;
use crate::time_range::TimeRange;
use crate::violation::{Pointer, Violation};

/// The name of a dataset: lower-case letters, digits and underscores.
///
/// Whether there is such a dataset is for the catalogue to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DataType(String);

impl DataType {
    /// Reads a name, or nothing when it has other characters or more than 64 of them.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        valid.then(|| Self(text.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How large a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The filter.
    pub filter: FilterLimits,
    /// The longest window.
    pub max_range: TimeDelta,
    /// Columns in the list of columns.
    pub max_columns: usize,
}

impl RequestLimits {
    /// No limits, for a request that was accepted before.
    pub const NONE: Self = Self {
        filter: FilterLimits {
            max_conditions: usize::MAX,
            max_depth: usize::MAX,
            max_values: usize::MAX,
            max_value_bytes: usize::MAX,
        },
        max_range: TimeDelta::MAX,
        max_columns: usize::MAX,
    };
}

/// What somebody wants exported.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRequest {
    /// The dataset.
    pub data_type: DataType,
    /// The file.
    pub output: Output,
    /// The order of its rows.
    pub order: RowOrder,
    /// Where a file ends and the next begins; there is one file without it.
    pub split: Option<Split>,
    /// The window.
    pub range: TimeRange,
    /// Which rows; all of them when there is none.
    pub filters: Option<Filters>,
    /// The columns by public name, in the order of the file; all of them when there are none.
    pub columns: Option<Vec<String>>,
    /// Who hears of the end, and how.
    pub notify: Notify,
}

/// A request that is not valid: another module of the platform inserted its row.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidRequest {
    /// The name of the dataset, as it was given.
    pub data_type: String,
    /// The file that there would have been.
    pub output: Output,
    /// The start of the window.
    pub start: DateTime<Utc>,
    /// The end of the window, which may be before its start.
    pub end: DateTime<Utc>,
    /// The filters, as they were given.
    pub filters: Option<Value>,
    /// What is wrong.
    pub violations: Vec<Violation>,
}

impl InvalidRequest {
    /// Keeps what is known of a request with a format.
    pub fn new(
        data_type: &str,
        format: Format,
        (start, end): (DateTime<Utc>, DateTime<Utc>),
        filters: Option<Value>,
        violations: Vec<Violation>,
    ) -> Self {
        Self {
            data_type: data_type.to_owned(),
            output: Output::default_of(format),
            start,
            end,
            filters,
            violations,
        }
    }

    /// Returns the reason for the owner of the job.
    pub fn failure(&self) -> Failure {
        Failure::naming(ErrorCode::InvalidRequest, &self.violations)
    }
}

impl ExportRequest {
    /// Reads the body of a `POST /api/v1/export`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of the members.
    pub fn parse(body: &Value, limits: &RequestLimits) -> Result<Self, Vec<Violation>> {
        let mut members = Members::of(body, Pointer::root())?;
        let data_type = members.required("data_type", |value, at| {
            let text = text(value, at)?;
            DataType::parse(text)
                .ok_or_else(|| one(at, "must be lower-case letters, digits and underscores"))
        });
        let format = members.required("format", |value, at| {
            one_of(value, at, Format::parse, Format::NAMES)
        });
        let compression = members.optional("compression", |value, at| {
            one_of(value, at, Compression::parse, Compression::NAMES)
        });
        let start = members.required("start_time", time);
        let end = members.required("end_time", time);
        let filters = members.optional("filters", |value, at| {
            Filters::parse(value, at, &limits.filter)
        });
        let columns = members.optional("columns", |value, at| columns(value, at, limits));
        let options = match format {
            Some(format) => members
                .optional("options", |value, at| Options::parse(value, at, format))
                .or_else(|| Some(Options::default_of(format))),
            None => members.ignored("options"),
        };
        let options = options.and_then(|options| {
            let output = members.checked("compression", || options.of_format.with(compression))?;
            Some((output, options.order, options.split, options.notify))
        });
        let range = start.zip(end).and_then(|(start, end)| {
            members.checked("end_time", || time_range(start, end, limits.max_range))
        });
        members.finish()?;
        // With no violation, whatever is required is there.
        let (Some(data_type), Some((output, order, split, notify)), Some(range)) =
            (data_type, options, range)
        else {
            return Err(one(&Pointer::root(), "is not a valid request"));
        };
        Ok(Self {
            data_type,
            output,
            order,
            split,
            range,
            filters,
            columns,
            notify,
        })
    }

    /// Returns the options that make the files what they are as they would be given, defaults filled in.
    pub fn file_options_json(&self) -> Value {
        let mut options = self.output.options_json();
        options["order"] = self.order.as_str().into();
        if let Some(split) = self.split {
            options["split"] = split.to_json();
        }
        options
    }

    /// Returns all options as they would be given, defaults filled in.
    pub fn options_json(&self) -> Value {
        let mut options = self.file_options_json();
        if let Some(notify) = self.notify.to_json() {
            options["notify"] = notify;
        }
        options
    }

    /// Returns the readable name of a file by its number, from 1, which the name has when the export is
    /// split.
    pub fn file_name(&self, number: u32) -> String {
        let number = self.split.map(|_| number);
        self.output.file_name(&self.data_type, &self.range, number)
    }
}

fn columns(
    value: &Value,
    at: &Pointer,
    limits: &RequestLimits,
) -> Result<Vec<String>, Vec<Violation>> {
    let names = value
        .as_array()
        .filter(|names| (1..=limits.max_columns).contains(&names.len()))
        .ok_or_else(|| {
            one(
                at,
                format!("must be an array of 1 to {} names", limits.max_columns),
            )
        })?;
    let mut columns: Vec<String> = Vec::with_capacity(names.len());
    let mut violations = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let at = at.child(index);
        match text(name, &at) {
            Ok(name) if columns.iter().any(|column| column == name) => {
                violations.extend(one(&at, format!("names the column {name:?} a second time")));
            }
            Ok(name) => columns.push(name.to_owned()),
            Err(wrong) => violations.extend(wrong),
        }
    }
    if violations.is_empty() {
        Ok(columns)
    } else {
        Err(violations)
    }
}

fn time(value: &Value, at: &Pointer) -> Result<DateTime<Utc>, Vec<Violation>> {
    parse_time(text(value, at)?).map_err(|detail| one(at, detail))
}

fn time_range(
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    longest: TimeDelta,
) -> Result<TimeRange, String> {
    let range = TimeRange::new(start, end).ok_or("must be after start_time")?;
    if range.length() > longest {
        return Err(format!(
            "is {} after start_time; at most {} are allowed",
            days(range.length()),
            days(longest)
        ));
    }
    Ok(range)
}

fn days(length: TimeDelta) -> String {
    let (days, rest) = (length.num_days(), length.num_seconds() % 86_400);
    match (days, rest) {
        (days, 0) => format!("{days} days"),
        (0, seconds) => format!("{seconds} seconds"),
        (days, seconds) => format!("{days} days and {seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::{ExportRequest, RequestLimits};
    use crate::output::{Compression, Output};

    fn limits() -> RequestLimits {
        RequestLimits {
            max_range: TimeDelta::days(31),
            max_columns: 3,
            ..RequestLimits::NONE
        }
    }

    fn valid() -> Value {
        json!({
            "data_type": "logs", "format": "csv",
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T02:00:00+02:00",
        })
    }

    fn with(changes: &Value) -> Value {
        let mut body = valid();
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn errors(body: &Value) -> Vec<String> {
        ExportRequest::parse(body, &limits())
            .expect_err("the request is wrong")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_minimal_request_gets_the_defaults() {
        let request = ExportRequest::parse(&valid(), &limits()).unwrap();
        assert_eq!(request.output.compression(), Compression::Gzip);
        assert_eq!(
            request.file_name(1),
            "logs_20260101T000000Z_20260102T000000Z.csv.gz"
        );
        assert_eq!(
            request.options_json(),
            json!({
                "csv": {"delimiter": ",", "null": "", "escape_formulas": true}, "order": "time",
            })
        );
    }

    #[test]
    fn options_read_back_from_what_is_stored() {
        for (format, options) in [
            (
                "csv",
                json!({
                    "csv": {"delimiter": "\t", "null": "\\N", "escape_formulas": false},
                    "order": "time",
                }),
            ),
            (
                "json",
                json!({"json": {"layout": "array"}, "order": "storage"}),
            ),
            (
                "parquet",
                json!({"parquet": {"compression": "snappy"}, "order": "time"}),
            ),
            (
                "json",
                json!({"json": {"layout": "lines"}, "order": "time", "split": {"max_rows": 5000}}),
            ),
            (
                "parquet",
                json!({
                    "parquet": {"compression": "zstd"}, "order": "time",
                    "notify": {"link": "service", "webhook": "https://example.com/exports"},
                }),
            ),
        ] {
            let body = with(&json!({"format": format, "options": options}));
            let request = ExportRequest::parse(&body, &limits()).unwrap();
            assert_eq!(request.options_json(), options);
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let body = json!({
            "data_type": "Logs!", "format": "xml", "compression": "rar",
            "start_time": "2026-01-01T00:00:00", "columns": [], "options": 1, "colour": "red",
        });
        assert_eq!(
            errors(&body),
            [
                "/data_type: must be lower-case letters, digits and underscores",
                "/format: must be one of csv, json, parquet",
                "/compression: must be one of gzip, zstd, none",
                "/start_time: must be an RFC 3339 time with a zone, such as 2026-01-01T00:00:00Z",
                "/end_time: is required",
                "/columns: must be an array of 1 to 3 names",
                "/colour: is unknown; known are data_type, format, compression, start_time, \
                 end_time, filters, columns, options",
            ]
        );
    }

    #[test]
    fn the_range_is_checked() {
        assert_eq!(
            errors(&with(&json!({"end_time": "2026-01-01T00:00:00Z"}))),
            ["/end_time: must be after start_time"]
        );
        assert_eq!(
            errors(&with(&json!({"end_time": "2026-02-02T00:00:01Z"}))),
            ["/end_time: is 32 days and 1 seconds after start_time; at most 31 days are allowed"]
        );
        assert_eq!(
            errors(&with(&json!({"start_time": "1700-01-01T00:00:00Z"}))),
            ["/start_time: must be between the years 1900 and 2262"]
        );
    }

    #[test]
    fn what_postgres_cannot_hold_is_refused() {
        assert_eq!(
            errors(&with(
                &json!({"start_time": "2026-01-01T00:00:00.0000001Z"})
            )),
            ["/start_time: must not be finer than a microsecond"]
        );
        assert_eq!(
            errors(&with(&json!({
                "filters": {"body": "a\0b", "attributes.\0": 1},
                "options": {"csv": {"null": "\0"}},
            }))),
            [
                "/filters/body: must not contain the character U+0000",
                "/filters/attributes.\0: must not contain the character U+0000",
                "/options/csv/null: must not contain the character U+0000",
            ]
        );
    }

    #[test]
    fn nothing_goes_around_parquet() {
        let parquet = json!({"format": "parquet"});
        let request = ExportRequest::parse(&with(&parquet), &limits()).unwrap();
        assert!(matches!(request.output, Output::Parquet { .. }));
        let gzip = errors(&with(&json!({"format": "parquet", "compression": "gzip"})));
        assert!(gzip[0].starts_with("/compression: gzip cannot be put around Parquet"));
    }

    #[test]
    fn the_files_of_a_split_export_are_numbered() {
        let split = json!({"options": {"split": {"max_bytes": 1_048_576}}});
        let request = ExportRequest::parse(&with(&split), &limits()).unwrap();
        assert_eq!(
            request.file_name(7),
            "logs_20260101T000000Z_20260102T000000Z-0007.csv.gz"
        );
    }

    #[test]
    fn options_of_another_format_are_refused() {
        assert_eq!(
            errors(&with(&json!({"options": {"json": {"layout": "array"}}}))),
            ["/options/json: is unknown; known are order, split, notify, csv"]
        );
        assert_eq!(
            errors(&with(
                &json!({"options": {"csv": {"delimiter": "\"", "null": 1, "x": 1}}})
            )),
            [
                "/options/csv/delimiter: must be one ASCII character other than a quote or a line break",
                "/options/csv/null: must be a text",
                "/options/csv/x: is unknown; known are delimiter, null, escape_formulas",
            ]
        );
    }

    #[test]
    fn the_link_of_an_email_is_one_of_two_kinds() {
        let notify = |notify: &Value| with(&json!({"options": {"notify": notify}}));
        let presigned = ExportRequest::parse(&notify(&json!({"link": "presigned"})), &limits());
        assert_eq!(presigned, ExportRequest::parse(&valid(), &limits()));
        assert_eq!(
            errors(&notify(&json!({"link": "eternal", "mail": true}))),
            [
                "/options/notify/link: must be one of presigned, service",
                "/options/notify/mail: is unknown; known are link, webhook",
            ]
        );
    }

    #[test]
    fn a_column_may_be_named_once() {
        assert_eq!(
            errors(&with(&json!({"columns": ["body", "body"]}))),
            ["/columns/1: names the column \"body\" a second time"]
        );
    }
}
