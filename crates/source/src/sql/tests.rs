use std::num::NonZeroU64;

use domain::{ExportRequest, Narrowing, OrganizationId, RequestLimits};
use serde_json::{Value as Json, json};

use super::{Parameter, Statement, histogram, rows, sample, unordered_rows};
use crate::catalogue::Catalogue;
use crate::key_bounds::KeyColumn;
use crate::preset::{OTEL_PRESET, Preset, TELEMETRYFLOW_PRESET};
use crate::query::Query;
use crate::seen::{Seen, SeenTable};
use crate::server_type::ServerType;
use crate::value::Value;

fn query(preset: &str, data_type: &str, changes: &Json) -> Query {
    let catalogue = Catalogue::load(&[("preset", preset)]).unwrap();
    resolve(&catalogue, data_type, changes)
}

fn resolve(catalogue: &Catalogue, data_type: &str, changes: &Json) -> Query {
    let mut body = json!({
        "data_type": data_type, "format": "csv",
        "start_time": "2026-01-01T00:00:00.5Z", "end_time": "2026-01-02T00:00:00Z",
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    let request = ExportRequest::parse(&body, &RequestLimits::NONE).unwrap();
    let organization: OrganizationId = "0192f0c1-2345-7000-8000-000000000001".parse().unwrap();
    catalogue
        .resolve(&request, organization, &Narrowing::default())
        .unwrap_or_else(|violations| panic!("{violations:?}"))
}

/// The text of a query with its parameters.
fn text(statement: &Statement) -> String {
    let parameters = statement.parameters.iter();
    let parameters = parameters.map(|(name, value)| format!("\n{name} = {value}"));
    format!("{}{}", statement.sql, parameters.collect::<String>())
}

/// The condition that a filter becomes, with its parameters.
fn condition(preset: &str, data_type: &str, filters: &Json) -> String {
    let query = query(
        preset,
        data_type,
        &json!({"columns": ["timestamp"], "filters": filters}),
    );
    let statement = rows(&query, query.range());
    // The filter is what comes after the window.
    let window = "{end:DateTime64(9, 'UTC')}\n  AND ";
    let (_, condition) = statement.sql.split_once(window).unwrap();
    let (condition, _) = condition.split_once("\n)\nORDER BY").unwrap();
    let filters = statement
        .parameters
        .iter()
        .filter(|(name, _)| name.starts_with('p'));
    let values = filters.map(|(name, value)| format!("\n{name} = {value}"));
    format!("{condition}{}", values.collect::<String>())
}

#[test]
fn rows_of_a_table() {
    let query = query(
        OTEL_PRESET,
        "logs",
        &json!({"columns": ["body", "timestamp", "attributes"]}),
    );
    insta::assert_snapshot!(text(&rows(&query, query.range())), @r"
        SELECT _0 AS `body`, _1 AS `timestamp`, _2 AS `attributes`
        FROM (
        SELECT Body AS _0, CAST(Timestamp, 'DateTime64(9, \'UTC\')') AS _1, LogAttributes AS _2, Timestamp AS _o0, ServiceName AS _o1, TraceId AS _o2, SpanId AS _o3, SeverityNumber AS _o4, Body AS _o5
        FROM `otel_logs`
        WHERE (ResourceAttributes['telemetryflow.organization.id']) = {organization:String}
          AND Timestamp >= {start:DateTime64(9, 'UTC')}
          AND Timestamp < {end:DateTime64(9, 'UTC')}
        )
        ORDER BY _o0, _o1, _o2, _o3, _o4, _o5
        organization = 0192f0c1-2345-7000-8000-000000000001
        start = 2026-01-01 00:00:00.500000000
        end = 2026-01-02 00:00:00.000000000
    ");
}

#[test]
fn rows_in_the_order_of_the_storage_are_not_sorted() {
    let changes = json!({"columns": ["body"], "options": {"order": "storage"}});
    let query = query(OTEL_PRESET, "logs", &changes);
    let statement = rows(&query, query.range());
    assert!(statement.sql.ends_with("\n)"), "{}", statement.sql);
    assert!(!statement.sql.contains("_o0"), "{}", statement.sql);
}

#[test]
fn rows_to_be_sorted_have_what_orders_them() {
    let changes = json!({"columns": ["body", "trace_id"]});
    let query = query(OTEL_PRESET, "logs", &changes);
    let keys = query.sort_keys().unwrap();
    assert_eq!(keys.places, [2, 3, 1, 4, 5, 0]);
    let statement = unordered_rows(&query, query.range(), &keys.hidden);
    let (columns, _) = statement.sql.split_once("\nWHERE").unwrap();
    insta::assert_snapshot!(columns, @r"
    SELECT _0 AS `body`, _1 AS `trace_id`, _2 AS `_k0`, _3 AS `_k1`, _4 AS `_k2`, _5 AS `_k3`
    FROM (
    SELECT Body AS _0, TraceId AS _1, CAST(Timestamp, 'DateTime64(9, \'UTC\')') AS _2, ServiceName AS _3, SpanId AS _4, CAST(SeverityNumber, 'UInt8') AS _5
    FROM `otel_logs`
    ");
    assert!(statement.sql.ends_with("\n)"), "{}", statement.sql);
    let schema = query.schema_with(&keys.hidden);
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["body", "trace_id", "_k0", "_k1", "_k2", "_k3"]);
}

#[test]
fn every_dataset_that_ships_can_be_sorted() {
    for preset in [OTEL_PRESET, TELEMETRYFLOW_PRESET] {
        for (dataset, _) in Catalogue::load(&[("preset", preset)]).unwrap().datasets() {
            assert!(
                query(preset, dataset, &json!({})).sort_keys().is_some(),
                "{dataset}"
            );
        }
    }
}

#[test]
fn rows_of_several_tables() {
    let query = query(
        OTEL_PRESET,
        "metrics",
        &json!({"columns": ["metric_type", "is_monotonic"], "filters": {"metric_name": "cpu"}}),
    );
    insta::assert_snapshot!(text(&rows(&query, query.range())), @r"
        SELECT _0 AS `metric_type`, _1 AS `is_monotonic`
        FROM (
        SELECT CAST('gauge', 'String') AS _0, CAST(NULL, 'Nullable(Bool)') AS _1, TimeUnix AS _o0, ServiceName AS _o1, MetricName AS _o2, Attributes AS _o3
        FROM `otel_metrics_gauge`
        WHERE (ResourceAttributes['telemetryflow.organization.id']) = {organization:String}
          AND TimeUnix >= {start:DateTime64(9, 'UTC')}
          AND TimeUnix < {end:DateTime64(9, 'UTC')}
          AND MetricName = {p0:String}
        UNION ALL
        SELECT CAST('sum', 'String') AS _0, CAST(IsMonotonic, 'Nullable(Bool)') AS _1, TimeUnix AS _o0, ServiceName AS _o1, MetricName AS _o2, Attributes AS _o3
        FROM `otel_metrics_sum`
        WHERE (ResourceAttributes['telemetryflow.organization.id']) = {organization:String}
          AND TimeUnix >= {start:DateTime64(9, 'UTC')}
          AND TimeUnix < {end:DateTime64(9, 'UTC')}
          AND MetricName = {p0:String}
        )
        ORDER BY _o0, _o1, _o2, _o3
        organization = 0192f0c1-2345-7000-8000-000000000001
        start = 2026-01-01 00:00:00.500000000
        end = 2026-01-02 00:00:00.000000000
        p0 = cpu
    ");
}

#[test]
fn a_public_name_cannot_stand_for_a_column_of_the_table() {
    let query = query(
        TELEMETRYFLOW_PRESET,
        "logs",
        &json!({"columns": ["timestamp", "organization_id"]}),
    );
    insta::assert_snapshot!(text(&rows(&query, query.range())), @r#"
        SELECT _0 AS `timestamp`, _1 AS `organization_id`
        FROM (
        SELECT CAST(timestamp, 'DateTime64(9, \'UTC\')') AS _0, organization_id AS _1, timestamp AS _o0, service_name AS _o1, trace_id AS _o2, span_id AS _o3, severity_number AS _o4, body AS _o5
        FROM `logs_v3`
        WHERE organization_id = {organization:String}
          AND timestamp >= {start:DateTime64(9, 'UTC')}
          AND timestamp < {end:DateTime64(9, 'UTC')}
        )
        ORDER BY _o0, _o1, _o2, _o3, _o4, _o5
        organization = 0192f0c1-2345-7000-8000-000000000001
        start = 2026-01-01 00:00:00.500000000
        end = 2026-01-02 00:00:00.000000000
    "#);
}

#[test]
fn a_sample_is_of_the_same_rows() {
    let query = query(
        TELEMETRYFLOW_PRESET,
        "logs",
        &json!({"columns": ["body", "severity_number"], "filters": {"service_name": "api"}}),
    );
    insta::assert_snapshot!(text(&sample(&query, query.range(), 1_000)), @r"
        SELECT count() AS rows, sum(byteSize(_0, _1)) AS bytes
        FROM (
        SELECT * FROM (
        SELECT body AS _0, CAST(severity_number, 'UInt8') AS _1
        FROM `logs_v3`
        WHERE organization_id = {organization:String}
          AND timestamp >= {start:DateTime64(9, 'UTC')}
          AND timestamp < {end:DateTime64(9, 'UTC')}
          AND service_name = {p0:String}
        )
        LIMIT 1000
        )
        organization = 0192f0c1-2345-7000-8000-000000000001
        start = 2026-01-01 00:00:00.500000000
        end = 2026-01-02 00:00:00.000000000
        p0 = api
    ");
}

#[test]
fn rows_are_counted_under_the_same_conditions() {
    let query = query(
        OTEL_PRESET,
        "logs",
        &json!({"filters": {"service_name": "api"}}),
    );
    insta::assert_snapshot!(text(&histogram(&query, query.range(), 43_200, None)), @r"
        SELECT _0 AS bucket, count() AS rows
        FROM (
        SELECT intDiv(toUInt64(toUnixTimestamp64Micro(CAST(Timestamp, 'DateTime64(6)')) - toUnixTimestamp64Micro({start:DateTime64(9, 'UTC')})), {width:UInt64}) AS _0
        FROM `otel_logs`
        WHERE (ResourceAttributes['telemetryflow.organization.id']) = {organization:String}
          AND Timestamp >= {start:DateTime64(9, 'UTC')}
          AND Timestamp < {end:DateTime64(9, 'UTC')}
          AND ServiceName = {p0:String}
        )
        GROUP BY _0
        ORDER BY _0
        organization = 0192f0c1-2345-7000-8000-000000000001
        start = 2026-01-01 00:00:00.500000000
        end = 2026-01-02 00:00:00.000000000
        p0 = api
        width = 43200
    ");
}

#[test]
fn some_blocks_are_counted_in_every_table() {
    let query = query(OTEL_PRESET, "metrics", &json!({}));
    let statement = histogram(&query, query.range(), 43_200, NonZeroU64::new(4));
    let condition =
        "\nPREWHERE (intDiv(_part_offset, 8192) + cityHash64(_part)) % {one_in:UInt64} = 0\n";
    assert_eq!(
        statement.sql.matches(condition).count(),
        query.dataset.tables.len()
    );
    assert!(text(&statement).ends_with("\none_in = 4"));
}

#[test]
fn nothing_of_a_request_is_in_the_text() {
    let evil = "x' OR 1=1 --`\"\\{p0:String}";
    let key = format!("attributes.{evil}");
    let query = query(
        OTEL_PRESET,
        "logs",
        &json!({"filters": {"all": [
            {"field": "body", "op": "contains", "value": evil},
            {"field": "service_name", "op": "in", "value": [evil]},
            {"field": key, "op": "eq", "value": evil},
        ]}}),
    );
    let statement = rows(&query, query.range());
    assert!(!statement.sql.contains("OR 1=1"));
    let bound = |expected: &Parameter| {
        statement
            .parameters
            .iter()
            .filter(|(_, parameter)| parameter == expected)
            .count()
    };
    let evil = Value::Text(evil.to_owned());
    assert_eq!(bound(&Parameter::One(evil.clone())), 3);
    assert_eq!(bound(&Parameter::Many(vec![evil])), 1);
}

#[test]
fn text_operators() {
    let each = |op: &str| json!({"field": "body", "op": op, "value": "x"});
    insta::assert_snapshot!(condition(OTEL_PRESET, "logs", &json!({"any": [
        each("eq"), each("ne"), each("contains"), each("icontains"), each("starts_with"),
        each("ends_with"), each("matches"),
        {"field": "body", "op": "in", "value": ["a", "b"]},
        {"field": "body", "op": "not_in", "value": ["a", "b"]},
        {"field": "body", "op": "exists"},
    ]})).replace(" OR ", "\nOR "), @r"
        (Body = {p0:String}
        OR NOT (Body = {p1:String})
        OR position(Body, {p2:String}) > 0
        OR positionCaseInsensitiveUTF8(Body, {p3:String}) > 0
        OR startsWith(Body, {p4:String})
        OR endsWith(Body, {p5:String})
        OR match(Body, {p6:String})
        OR Body IN {p7:Array(String)}
        OR NOT (Body IN {p8:Array(String)})
        OR isNotNull(Body))
        p0 = x
        p1 = x
        p2 = x
        p3 = x
        p4 = x
        p5 = x
        p6 = x
        p7 = ['a','b']
        p8 = ['a','b']
    ");
}

#[test]
fn number_operators() {
    let each = |op: &str| json!({"field": "severity_number", "op": op, "value": 17});
    insta::assert_snapshot!(condition(OTEL_PRESET, "logs", &json!({"not": {"all": [
        each("eq"), each("gt"), each("gte"), each("lt"), each("lte"),
    ]}})).replace(" AND ", "\nAND "), @r"
        NOT ((SeverityNumber = {p0:UInt8}
        AND SeverityNumber > {p1:UInt8}
        AND SeverityNumber >= {p2:UInt8}
        AND SeverityNumber < {p3:UInt8}
        AND SeverityNumber <= {p4:UInt8}))
        p0 = 17
        p1 = 17
        p2 = 17
        p3 = 17
        p4 = 17
    ");
}

#[test]
fn keys_of_maps() {
    let each =
        |op: &str, value: Json| json!({"field": "attributes.http.route", "op": op, "value": value});
    insta::assert_snapshot!(condition(OTEL_PRESET, "logs", &json!({"any": [
        each("eq", json!("/")), each("ne", json!("/")), each("gte", json!(500)),
        each("in", json!([500, 502])), each("exists", json!(true)), each("exists", json!(false)),
    ]})).replace(" OR ", "\nOR "), @r"
        ((mapContains(LogAttributes, {p0:String}) AND LogAttributes[{p0:String}] = {p1:String})
        OR NOT ((mapContains(LogAttributes, {p2:String}) AND LogAttributes[{p2:String}] = {p3:String}))
        OR ifNull(toFloat64OrNull(LogAttributes[{p4:String}]) >= {p5:Float64}, false)
        OR ifNull(toFloat64OrNull(LogAttributes[{p6:String}]) IN {p7:Array(Float64)}, false)
        OR mapContains(LogAttributes, {p8:String})
        OR NOT (mapContains(LogAttributes, {p9:String})))
        p0 = http.route
        p1 = /
        p2 = http.route
        p3 = /
        p4 = http.route
        p5 = 500
        p6 = http.route
        p7 = [500,502]
        p8 = http.route
        p9 = http.route
    ");
}

#[test]
fn what_can_be_null_or_is_an_enum() {
    insta::assert_snapshot!(condition(TELEMETRYFLOW_PRESET, "traces", &json!({"all": [
        {"field": "tenant_id", "op": "ne", "value": "a"},
        {"field": "workspace_id", "op": "eq", "value": "6b1f3c52-6f0a-4c1e-9d3b-00000000000a"},
        {"field": "status_code", "op": "in", "value": ["OK", "ERROR"]},
        {"field": "status_message", "op": "exists", "value": false},
    ]})), @r"
        NOT (ifNull(tenant_id = {p0:String}, false))
          AND ifNull(workspace_id = {p1:UUID}, false)
          AND CAST(status_code, 'String') IN {p2:Array(String)}
          AND NOT (isNotNull(status_message))
        p0 = a
        p1 = 6b1f3c52-6f0a-4c1e-9d3b-00000000000a
        p2 = ['OK','ERROR']
    ");
}

const KEYED: &str = r#"
    [logs]
    table = "logs"
    time = "t"
    tenant = "attributes['org']"
    order_by = []
    columns = [{ name = "t", type = "timestamp" }, { name = "attributes", type = "map<string, string>" }]
"#;

/// A request for [`KEYED`], of whose table the server says this.
fn keyed(attributes: &str, sorting_key: &str, changes: &Json) -> Query {
    let column = |name: &str, column_type: &str| KeyColumn {
        name: name.to_owned(),
        column_type: column_type.to_owned(),
        default_kind: String::new(),
        default_expression: String::new(),
    };
    let key_columns = vec![
        column("t", "DateTime64(9)"),
        column("attributes", attributes),
    ];
    let types = key_columns.iter();
    let types = types.map(|it| (it.name.clone(), ServerType::parse(&it.column_type)));
    let table = SeenTable {
        engine: "MergeTree".to_owned(),
        sorting_key: sorting_key.to_owned(),
        types: types.collect(),
        key_columns,
        ..SeenTable::default()
    };
    let preset = Preset::load(&[("preset", KEYED)]).unwrap();
    let name = preset.definitions[0].tables[0][0].clone();
    let catalogue = preset.resolve(&Seen::from([(name, table)]));
    resolve(&catalogue, "logs", changes)
}

#[test]
fn the_key_of_a_table_is_bounded() {
    let key = "toStartOfFiveMinutes(t), toStartOfHour(t), t";
    let query = keyed("Map(String, String)", key, &json!({}));
    insta::assert_snapshot!(text(&rows(&query, query.range())), @r"
        SELECT _0 AS `t`, _1 AS `attributes`
        FROM (
        SELECT CAST(t, 'DateTime64(9, \'UTC\')') AS _0, attributes AS _1, t AS _o0
        FROM `logs`
        WHERE (attributes['org']) = {organization:String}
          AND t >= {start:DateTime64(9, 'UTC')}
          AND t < {end:DateTime64(9, 'UTC')}
          AND toStartOfFiveMinutes(`t`) >= toStartOfFiveMinutes(CAST({start:DateTime64(9, 'UTC')}, 'DateTime64(9)'))
          AND toStartOfFiveMinutes(`t`) <= toStartOfFiveMinutes(CAST({end:DateTime64(9, 'UTC')}, 'DateTime64(9)'))
          AND toStartOfHour(`t`) >= toStartOfHour(CAST({start_2h:DateTime64(9, 'UTC')}, 'DateTime64(9)'))
          AND toStartOfHour(`t`) <= toStartOfHour(CAST({end_2h:DateTime64(9, 'UTC')}, 'DateTime64(9)'))
        )
        ORDER BY _o0
        organization = 0192f0c1-2345-7000-8000-000000000001
        start = 2026-01-01 00:00:00.500000000
        end = 2026-01-02 00:00:00.000000000
        start_2h = 2025-12-31 22:00:00.500000000
        end_2h = 2026-01-02 02:00:00.000000000
    ");
}

#[test]
fn a_key_is_not_bounded_where_its_functions_mean_nothing() {
    for (start, end, is_bounded) in [
        ("1972-12-31T23:59:59Z", "1973-01-02T00:00:00Z", false),
        ("1973-01-01T00:00:00Z", "1973-01-02T00:00:00Z", true),
        ("2105-12-30T00:00:00Z", "2106-01-01T00:00:00Z", false),
    ] {
        let changes = json!({"start_time": start, "end_time": end});
        let query = keyed("Map(String, String)", "toStartOfFiveMinutes(t)", &changes);
        let sql = rows(&query, query.range()).sql;
        assert_eq!(sql.contains("toStartOfFiveMinutes"), is_bounded, "{start}");
    }
}

#[test]
fn keys_of_json() {
    let filters = json!({"any": [
        {"field": "attributes.http.route", "op": "eq", "value": "/"},
        {"field": "attributes.status", "op": "gte", "value": 500},
        {"field": "attributes.status", "op": "exists"},
    ]});
    let query = keyed("JSON", "", &json!({"filters": filters}));
    insta::assert_snapshot!(text(&rows(&query, query.range())), @r"
        SELECT _0 AS `t`, _1 AS `attributes`
        FROM (
        SELECT CAST(t, 'DateTime64(9, \'UTC\')') AS _0, attributes AS _1, t AS _o0
        FROM `logs`
        WHERE CAST(attributes.`org`, 'Nullable(String)') = {organization:String}
          AND t >= {start:DateTime64(9, 'UTC')}
          AND t < {end:DateTime64(9, 'UTC')}
          AND ((isNotNull(coalesce(CAST(getSubcolumn(attributes, {p0:String}), 'Nullable(String)'), CAST(getSubcolumn(attributes, {p1:String}), 'Nullable(String)'))) AND ifNull(coalesce(CAST(getSubcolumn(attributes, {p0:String}), 'Nullable(String)'), CAST(getSubcolumn(attributes, {p1:String}), 'Nullable(String)')), '') = {p2:String}) OR ifNull(toFloat64OrNull(ifNull(CAST(getSubcolumn(attributes, {p3:String}), 'Nullable(String)'), '')) >= {p4:Float64}, false) OR isNotNull(CAST(getSubcolumn(attributes, {p5:String}), 'Nullable(String)')))
        )
        ORDER BY _o0
        organization = 0192f0c1-2345-7000-8000-000000000001
        start = 2026-01-01 00:00:00.500000000
        end = 2026-01-02 00:00:00.000000000
        p0 = http.route
        p1 = http%2Eroute
        p2 = /
        p3 = status
        p4 = 500
        p5 = status
    ");
}
