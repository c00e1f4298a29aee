//! What a file must hold: the same rows, asked of ClickHouse without the product.

use anyhow::{Result, ensure};
use e2e::{ClickHouse, Tenant};
use serde_json::{Map, Value};

const EVENTS: &str =
    "Array(Tuple(timestamp DateTime64(9), name String, attributes Map(String, String)))";
const LINKS: &str = "Array(Tuple(trace_id String, span_id String, trace_state String, attributes Map(String, String)))";
const LINKS_V3: &str =
    "Array(Tuple(trace_id String, span_id String, attributes Map(String, String)))";
const EXEMPLARS: &str = "Array(Tuple(timestamp DateTime64(9), value Float64, span_id String, trace_id String, filtered_attributes Map(String, String)))";

/// Returns the query that an auditor would write for a dataset.
pub(crate) fn query(preset: &str, dataset: &str) -> String {
    match preset {
        "otel" => otel(dataset),
        preset => platform(preset, dataset),
    }
}

/// Returns the condition on the day and the organization.
fn window(time: &str, tenant: &str) -> String {
    format!(
        "WHERE {tenant} = {{organization:String}} AND {time} >= toDateTime64('2026-01-01', 9, 'UTC') \
         AND {time} < toDateTime64('2026-01-02', 9, 'UTC')"
    )
}

fn otel(dataset: &str) -> String {
    let otel = |time| window(time, "ResourceAttributes['telemetryflow.organization.id']");
    let resource = "ResourceAttributes AS resource_attributes, ScopeName AS scope_name, ScopeVersion AS scope_version";
    let exemplars = format!(
        "CAST(arrayZip(Exemplars.TimeUnix, Exemplars.Value, Exemplars.SpanId, Exemplars.TraceId, \
         Exemplars.FilteredAttributes), '{EXEMPLARS}') AS exemplars"
    );
    let points = "TimeUnix AS timestamp, StartTimeUnix AS start_timestamp, MetricName AS metric_name, \
         MetricDescription AS metric_description, MetricUnit AS metric_unit, ServiceName AS service_name, \
         Attributes AS attributes, Flags AS flags, ResourceSchemaUrl AS resource_schema_url, \
         ScopeAttributes AS scope_attributes, ScopeDroppedAttrCount AS scope_dropped_attr_count, \
         ScopeSchemaUrl AS scope_schema_url";
    match dataset {
        "logs" => format!(
            "SELECT Timestamp AS timestamp, TraceId AS trace_id, SpanId AS span_id, TraceFlags AS trace_flags, \
             SeverityText AS severity_text, SeverityNumber AS severity_number, ServiceName AS service_name, \
             Body AS body, ResourceSchemaUrl AS resource_schema_url, ScopeSchemaUrl AS scope_schema_url, \
             ScopeAttributes AS scope_attributes, LogAttributes AS attributes, {resource} FROM otel_logs {}",
            otel("Timestamp")
        ),
        "traces" => format!(
            "SELECT Timestamp AS timestamp, TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id, \
             TraceState AS trace_state, SpanName AS span_name, SpanKind AS span_kind, ServiceName AS service_name, \
             SpanAttributes AS attributes, Duration AS duration_nano, StatusCode AS status_code, \
             StatusMessage AS status_message, \
             CAST(arrayZip(Events.Timestamp, Events.Name, Events.Attributes), '{EVENTS}') AS events, \
             CAST(arrayZip(Links.TraceId, Links.SpanId, Links.TraceState, Links.Attributes), '{LINKS}') AS links, \
             {resource} FROM otel_traces {}",
            otel("Timestamp")
        ),
        "metrics" => {
            let one = |kind: &str, table: &str, own: &str| {
                format!(
                    "SELECT {points}, '{kind}' AS metric_type, Value AS value, {own}, {exemplars}, {resource} \
                     FROM {table} {}",
                    otel("TimeUnix")
                )
            };
            format!(
                "SELECT * FROM ({} UNION ALL {})",
                one(
                    "gauge",
                    "otel_metrics_gauge",
                    "NULL AS aggregation_temporality, NULL AS is_monotonic"
                ),
                one(
                    "sum",
                    "otel_metrics_sum",
                    "AggregationTemporality AS aggregation_temporality, IsMonotonic AS is_monotonic"
                ),
            )
        }
        "metrics_histogram" => format!(
            "SELECT {points}, Count AS count, Sum AS sum, BucketCounts AS bucket_counts, \
             ExplicitBounds AS explicit_bounds, Min AS min, Max AS max, \
             AggregationTemporality AS aggregation_temporality, {exemplars}, {resource} \
             FROM otel_metrics_histogram {}",
            otel("TimeUnix")
        ),
        "metrics_exponential_histogram" => format!(
            "SELECT {points}, Count AS count, Sum AS sum, Scale AS scale, ZeroCount AS zero_count, \
             PositiveOffset AS positive_offset, PositiveBucketCounts AS positive_bucket_counts, \
             NegativeOffset AS negative_offset, NegativeBucketCounts AS negative_bucket_counts, \
             Min AS min, Max AS max, AggregationTemporality AS aggregation_temporality, \
             {exemplars}, {resource} FROM otel_metrics_exponential_histogram {}",
            otel("TimeUnix")
        ),
        "metrics_summary" => format!(
            "SELECT {points}, Count AS count, Sum AS sum, \
             CAST(arrayZip(ValueAtQuantiles.Quantile, ValueAtQuantiles.Value), \
             'Array(Tuple(quantile Float64, value Float64))') AS value_at_quantiles, {resource} \
             FROM otel_metrics_summary {}",
            otel("TimeUnix")
        ),
        "profiles" => format!(
            "SELECT Timestamp AS timestamp, ProfileId AS profile_id, SampleType AS sample_type, \
             SampleUnit AS sample_unit, ServiceName AS service_name, `Values` AS values, \
             TimestampsUnixNano AS timestamps_unix_nano, DurationNano AS duration_nano, \
             Period AS period, PeriodType AS period_type, PeriodUnit AS period_unit, \
             TraceId AS trace_id, SpanId AS span_id, StackHash AS stack_hash, \
             Addresses AS addresses, FunctionNames AS function_names, FileNames AS file_names, \
             LineNumbers AS line_numbers, MappingFileNames AS mapping_file_names, \
             ProfileAttributes AS attributes, SampleAttributes AS sample_attributes, {resource} \
             FROM otel_profiles {}",
            otel("Timestamp")
        ),
        dataset => unreachable!("no reference for {dataset}"),
    }
}

/// Returns the query for the tables of the platform's overview, or of its open core.
fn platform(preset: &str, dataset: &str) -> String {
    let v3 = window("timestamp", "organization_id");
    match (preset, dataset) {
        ("core", "logs") => {
            format!("SELECT * EXCEPT log_attributes, log_attributes AS attributes FROM logs {v3}")
        }
        ("core", "metrics") => format!(
            "SELECT * EXCEPT metric_attributes, metric_attributes AS attributes FROM metrics {v3}"
        ),
        ("core", "traces") => format!(
            "SELECT * EXCEPT (span_attributes, duration_ns), span_attributes AS attributes, \
             duration_ns AS duration_nano FROM traces {v3}"
        ),
        ("telemetryflow", "logs") => format!(
            "SELECT * EXCEPT log_attributes, log_attributes AS attributes FROM logs_v3 {v3}"
        ),
        ("telemetryflow", "metrics") => format!("SELECT * FROM metrics_v3 {v3}"),
        ("telemetryflow", "traces") => format!(
            "SELECT * EXCEPT (span_attributes, `events.timestamp`, `events.name`, `events.attributes`, \
             `links.trace_id`, `links.span_id`, `links.attributes`), span_attributes AS attributes, \
             CAST(arrayZip(events.timestamp, events.name, events.attributes), '{EVENTS}') AS events, \
             CAST(arrayZip(links.trace_id, links.span_id, links.attributes), '{LINKS_V3}') AS links \
             FROM traces_v3 {v3}"
        ),
        (preset, dataset) => unreachable!("no reference for {preset} {dataset}"),
    }
}

/// Returns the rows of a dataset on 2026-01-01 as ClickHouse has them, in no order.
pub(crate) async fn rows(
    clickhouse: &ClickHouse,
    preset: &str,
    dataset: &str,
    tenant: &Tenant,
) -> Result<Vec<Value>> {
    let organization = tenant.organization.to_string();
    clickhouse
        .rows(&query(preset, dataset), &[("organization", &organization)])
        .await
}

/// Checks that a file has the rows, each column of each, and has them in order of time.
pub(crate) fn check(file: Vec<Value>, reference: Vec<Value>) -> Result<()> {
    let times: Vec<_> = file
        .iter()
        .map(|row| row["timestamp"].to_string())
        .collect();
    ensure!(times.is_sorted(), "the rows are not in order of time");
    ensure!(
        file.len() == reference.len(),
        "{} rows, not {}",
        file.len(),
        reference.len()
    );
    let sorted = |rows: Vec<Value>| {
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|row| canonical(row).to_string())
            .collect();
        rows.sort_unstable();
        rows
    };
    for (actual, expected) in sorted(file).into_iter().zip(sorted(reference)) {
        ensure!(
            actual == expected,
            "the file has\n  {actual}\nClickHouse has\n  {expected}"
        );
    }
    Ok(())
}

/// Writes what means the same in the same way: members by name, whole numbers without a point.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            let members = members
                .into_iter()
                .map(|(name, value)| (name, canonical(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < 1e15 => {
                Value::from(whole as i64)
            }
            _ => Value::Number(number),
        },
        other => other,
    }
}
