//! `cargo xtask fuzz`: whatever a filter is, its SQL is made without a panic, and only of what the catalogue
//! has: no text of the filter is in it, and other values give the same SQL.

#![no_main]

use std::sync::LazyLock;

use domain::{ExportRequest, Narrowing, Op, RequestLimits};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use source::{Catalogue, DatasetDescription, OTEL_PRESET, TELEMETRYFLOW_PRESET};
use uuid::Uuid;

static CATALOGUES: LazyLock<[Catalogue; 2]> = LazyLock::new(|| {
    [OTEL_PRESET, TELEMETRYFLOW_PRESET]
        .map(|preset| Catalogue::load(&[("preset", preset)]).expect("it ships"))
});

/// Begins every text of a filter. No catalogue that ships has anything but ASCII.
const MARK: char = '⁂';

#[derive(Arbitrary, Debug)]
struct Input {
    preset: bool,
    dataset: u8,
    by_time: bool,
    filter: Node,
}

#[derive(Arbitrary, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Compare(Comparison),
}

#[derive(Arbitrary, Debug)]
struct Comparison {
    column: u8,
    key: String,
    op: u8,
    values: Vec<Operand>,
}

#[derive(Arbitrary, Debug)]
enum Operand {
    Text(String),
    Whole(i64),
    Float(f64),
    Bool(bool),
    Time(u32),
    Id(u128),
    Address(u32),
}

fuzz_target!(|input: Input| {
    let catalogue = &CATALOGUES[usize::from(input.preset)];
    let datasets: Vec<_> = catalogue.describe().collect();
    let dataset = &datasets[usize::from(input.dataset) % datasets.len()];
    let sql = |filter: Value| {
        let order = if input.by_time { "time" } else { "storage" };
        let body = json!({
            "data_type": dataset.name, "format": "csv", "filters": filter, "options": { "order": order },
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
        });
        let request = ExportRequest::parse(&body, &RequestLimits::NONE).ok()?;
        let query = catalogue.resolve(&request, Uuid::nil().into(), &Narrowing::default()).ok()?;
        Some(query.sql())
    };
    let Some(posted) = sql(input.filter.json(dataset, false)) else {
        return;
    };
    assert!(posted.is_ascii(), "{posted}");
    if let Some(other) = sql(input.filter.json(dataset, true)) {
        assert_eq!(posted, other);
    }
});

impl Node {
    /// Writes the filter as it is posted, or the same with other values.
    fn json(&self, dataset: &DatasetDescription<'_>, other: bool) -> Value {
        let each = |nodes: &[Self]| -> Value {
            nodes.iter().map(|node| node.json(dataset, other)).collect()
        };
        match self {
            Self::All(nodes) => json!({ "all": each(nodes) }),
            Self::Any(nodes) => json!({ "any": each(nodes) }),
            Self::Not(node) => json!({ "not": node.json(dataset, other) }),
            Self::Compare(comparison) => comparison.json(dataset, other),
        }
    }
}

impl Comparison {
    fn json(&self, dataset: &DatasetDescription<'_>, other: bool) -> Value {
        let column = &dataset.columns[usize::from(self.column) % dataset.columns.len()];
        let field = if column.has_keys {
            format!("{}.{}", column.name, text(&self.key, other))
        } else {
            column.name.to_owned()
        };
        let ops = if column.operators.is_empty() {
            Op::ALL
        } else {
            column.operators
        };
        let op = ops[usize::from(self.op) % ops.len()];
        let value = match (op, self.values.first()) {
            (Op::In | Op::NotIn, _) => self.values.iter().map(|value| value.json(other)).collect(),
            // Whether something is to be there or not is no value.
            (Op::Exists, _) => json!(self.values.is_empty()),
            (_, Some(value)) => value.json(other),
            (_, None) => Value::Null,
        };
        json!({ "field": field, "op": op.as_str(), "value": value })
    }
}

impl Operand {
    fn json(&self, other: bool) -> Value {
        match self {
            Self::Text(value) => json!(text(value, other)),
            Self::Whole(value) => json!(if other { value / 2 } else { *value }),
            Self::Float(value) => json!(if other { value / 2.0 } else { *value }),
            Self::Bool(value) => json!(*value != other),
            Self::Time(day) => json!(format!(
                "2026-01-{:02}T00:00:00Z",
                (day ^ u32::from(other)) % 28 + 1
            )),
            Self::Id(id) => json!(Uuid::from_u128(id ^ u128::from(other))),
            Self::Address(bits) => {
                json!(std::net::Ipv4Addr::from_bits(bits ^ u32::from(other)).to_string())
            }
        }
    }
}

fn text(text: &str, other: bool) -> String {
    let text = text.chars();
    let text: String = if other {
        text.rev().collect()
    } else {
        text.collect()
    };
    format!("{MARK}{text}")
}
