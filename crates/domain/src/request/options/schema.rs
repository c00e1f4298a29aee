//! The options of a request as a JSON Schema, for whoever builds a form or a client of them.

use serde_json::{Value, json};

use crate::notify::{LinkKind, WebhookUrl};
use crate::output::{Format, JsonLayout, Output, ParquetCompression, RowOrder};
use crate::split::Split;

/// One ASCII character other than U+0000, a quote and a line break.
const DELIMITER: &str = r"^[\x01-\x09\x0b\x0c\x0e-!#-\x7f]$";

/// Returns the JSON Schema of the member `options` of a request for a format, with the defaults.
pub fn options_schema(format: Format) -> Value {
    let mut own = match format {
        Format::Csv => json!({
            "delimiter": { "type": "string", "pattern": DELIMITER },
            "null": { "type": "string", "maxLength": 16 },
            "escape_formulas": { "type": "boolean" },
        }),
        Format::Json => json!({
            "layout": { "type": "string", "enum": JsonLayout::NAMES },
        }),
        Format::Parquet => json!({
            "compression": { "type": "string", "enum": ParquetCompression::NAMES },
        }),
    };
    let defaults = &Output::default_of(format).options_json()[format.as_str()];
    for (name, default) in defaults.as_object().into_iter().flatten() {
        own[name]["default"] = default.clone();
    }
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "order": { "type": "string", "enum": RowOrder::NAMES, "default": RowOrder::Time },
            "split": {
                "type": "object", "additionalProperties": false, "minProperties": 1,
                "maxProperties": 1, "properties": {
                    "max_rows": {
                        "type": "integer", "minimum": Split::LEAST_ROWS,
                        "description": "Each file but the last has so many rows.",
                    },
                    "max_bytes": {
                        "type": "integer", "minimum": Split::LEAST_BYTES,
                        "description": "No file has more bytes, compressed, unless a single block of \
                                        rows has.",
                    },
                },
                "description": format!(
                    "Makes several files, {} at most, of one of the two sizes; without it there is one.",
                    Split::MAX_FILES,
                ),
            },
            "notify": {
                "type": "object", "additionalProperties": false, "properties": {
                    "link": {
                        "type": "string", "enum": LinkKind::NAMES, "default": LinkKind::Presigned,
                        "description": "Where the link of the e-mail leads: to the storage, for seven \
                                        days at most, or to this service, which notes who follows it \
                                        and can revoke it, for as long as the file is kept.",
                    },
                    "webhook": {
                        "type": "string", "format": "uri", "pattern": "^https://",
                        "maxLength": WebhookUrl::MAX_BYTES,
                        "description": "Called when the export is completed or has failed.",
                    },
                },
            },
            format.as_str(): {
                "type": "object", "additionalProperties": false, "properties": own,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::options_schema;
    use crate::output::{Compression, Format};
    use crate::request::{ExportRequest, RequestLimits};

    fn parse(format: Format, changes: &Value) -> Result<ExportRequest, Vec<String>> {
        let mut body = json!({
            "data_type": "logs", "format": format,
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        ExportRequest::parse(&body, &RequestLimits::NONE)
            .map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
    }

    /// Gives one option, which stands at `path`, a value.
    fn with_option(path: &[&str], value: &Value) -> Value {
        let path = path.iter().rev();
        let options = path.fold(value.clone(), |inner, name| json!({ *name: inner }));
        json!({ "options": options })
    }

    #[test]
    fn the_schema_says_what_the_parser_takes() {
        for format in Format::ALL {
            let schema = options_schema(*format);
            let defaults = parse(*format, &json!({})).unwrap().options_json();
            let own = &schema["properties"][format.as_str()]["properties"];
            let mut options = vec![(vec!["order"], &schema["properties"]["order"])];
            for (name, option) in own.as_object().unwrap() {
                options.push((vec![format.as_str(), name], option));
            }
            let mut all = json!({});
            for (path, option) in options {
                let pointer = format!("/{}", path.join("/"));
                assert_eq!(
                    Some(&option["default"]),
                    defaults.pointer(&pointer),
                    "{pointer}"
                );
                let values = option["enum"].as_array().cloned().unwrap_or_default();
                for value in values.iter().chain([&option["default"]]) {
                    parse(*format, &with_option(&path, value)).unwrap();
                }
                let wrong = with_option(&path, &json!({"nonsense": 1}));
                assert!(parse(*format, &wrong).is_err(), "{pointer}");
                match &path[..] {
                    [group, name] => all[*group][*name] = option["default"].clone(),
                    _ => all[path[0]] = option["default"].clone(),
                }
            }
            assert_eq!(all, defaults, "every option is in the schema");
        }
    }

    #[test]
    fn files_may_be_as_small_as_the_schema_says() {
        let schema = options_schema(Format::Csv);
        let split = schema["properties"]["split"]["properties"].as_object();
        for (name, size) in split.unwrap() {
            let least = size["minimum"].as_u64().unwrap();
            let parse =
                |size: u64| parse(Format::Csv, &with_option(&["split", name], &size.into()));
            assert!(parse(least).is_ok() && parse(least - 1).is_err(), "{name}");
        }
    }

    #[test]
    fn a_format_has_the_compressions_that_can_be_around_it() {
        for format in Format::ALL {
            for compression in Compression::ALL {
                let parsed = parse(*format, &json!({ "compression": compression }));
                let is_possible = format.compressions().contains(compression);
                assert_eq!(parsed.is_ok(), is_possible, "{compression} around {format}");
            }
        }
    }
}
