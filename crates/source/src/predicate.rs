//! A filter whose fields are columns and whose values have the columns' types.

use domain::{Comparison, Filter, Narrowing, Op, Pointer, Scalar as Posted, Violation};

use crate::catalogue::{Column, Dataset};
use crate::column_type::{Kind, Scalar};
use crate::value::{self, Value};

/// A condition on a row. It is true or false, never NULL: a comparison with a NULL, or with a key
/// that is not there, is false, and its negation true.
#[derive(Clone)]
pub(crate) enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Test(Test),
}

/// A field, what to do with it, and the values to do it with.
#[derive(Clone)]
pub(crate) struct Test {
    /// The index of the column.
    pub(crate) column: usize,
    /// The key of a map column.
    pub(crate) key: Option<String>,
    /// The type that the field is compared as.
    pub(crate) compared_as: Scalar,
    pub(crate) op: Op,
    pub(crate) values: Vec<Value>,
}

/// Finds the fields of a filter and reads its values.
///
/// What does not fit is added to `violations`; the predicate then means nothing.
pub(crate) fn resolve(
    dataset: &Dataset,
    filter: &Filter,
    violations: &mut Vec<Violation>,
) -> Predicate {
    match filter {
        Filter::All(filters) => Predicate::All(resolve_each(dataset, filters, violations)),
        Filter::Any(filters) => Predicate::Any(resolve_each(dataset, filters, violations)),
        Filter::Not(filter) => Predicate::Not(Box::new(resolve(dataset, filter, violations))),
        Filter::Compare(comparison) => match test(dataset, comparison) {
            Ok(test) => Predicate::Test(test),
            Err(wrong) => {
                violations.extend(wrong);
                Predicate::Any(Vec::new())
            }
        },
    }
}

/// Finds the fields that narrow what somebody may see of a dataset, and reads their values.
///
/// # Errors
///
/// Why this cannot be done: nothing of the dataset can be shown then.
pub(crate) fn narrow(dataset: &Dataset, narrowed_to: &Narrowing) -> Result<Vec<Predicate>, String> {
    let tests = narrowed_to.fields().map(|(field, value)| {
        let test = |value| {
            let comparison = Comparison {
                field: field.to_owned(),
                op: Op::Eq,
                values: vec![value],
                pointer: Pointer::root(),
            };
            test(dataset, &comparison).ok()
        };
        // Where the field is a number, so is the value.
        let number = || value.parse().ok().map(Posted::Number).and_then(test);
        let test = test(Posted::Text(value.to_owned())).or_else(number);
        test.map(Predicate::Test).ok_or_else(|| {
            format!(
                "cannot be exported with your token: the token is limited to one {field}, and the dataset \
                 cannot be filtered by it"
            )
        })
    });
    tests.collect()
}

fn resolve_each(
    dataset: &Dataset,
    filters: &[Filter],
    violations: &mut Vec<Violation>,
) -> Vec<Predicate> {
    filters
        .iter()
        .map(|filter| resolve(dataset, filter, violations))
        .collect()
}

/// Where the members of a comparison stand in the request.
struct Places<'a> {
    comparison: &'a Comparison,
    shorthand: bool,
}

impl<'a> Places<'a> {
    fn of(comparison: &'a Comparison) -> Self {
        // Only in the shorthand does a comparison stand under the name of its field.
        let member = Pointer::root().child("filters").child(&comparison.field);
        Self {
            comparison,
            shorthand: comparison.pointer == member,
        }
    }

    fn member(&self, name: &str) -> Pointer {
        if self.shorthand {
            self.comparison.pointer.clone()
        } else {
            self.comparison.pointer.child(name)
        }
    }

    fn value(&self, index: usize) -> Pointer {
        let value = self.member("value");
        if matches!(self.comparison.op, Op::In | Op::NotIn) {
            value.child(index)
        } else {
            value
        }
    }
}

fn test(dataset: &Dataset, comparison: &Comparison) -> Result<Test, Vec<Violation>> {
    let places = Places::of(comparison);
    let Comparison {
        field, op, values, ..
    } = comparison;
    let (column, key) = find(dataset, field)
        .map_err(|detail| vec![Violation::new(places.member("field"), detail)])?;
    let compared_as = match dataset.columns[column].value_type.kind {
        Kind::Scalar(scalar) => scalar,
        // A map's value compares as text with a text, and as a number with a number.
        _ if TEXT_OPS.contains(op) && !matches!(values[..], [Posted::Number(_), ..]) => {
            Scalar::String
        }
        _ if ORDER_OPS.contains(op) => Scalar::Float64,
        _ => Scalar::String,
    };
    let ops = ops(compared_as);
    if !ops.contains(op) {
        let ops: Vec<_> = ops.iter().map(|op| op.as_str()).collect();
        let detail = format!("{field} has no {op}; it has {}", ops.join(", "));
        return Err(vec![Violation::new(places.member("op"), detail)]);
    }
    let mut parsed = Vec::with_capacity(values.len());
    let mut violations = Vec::new();
    for (index, posted) in values.iter().enumerate() {
        let value = match op {
            Op::Exists => value::parse(posted, Scalar::Bool),
            Op::Matches => value::pattern(posted),
            _ => value::parse(posted, compared_as),
        };
        match value {
            Ok(value) => parsed.push(value),
            Err(detail) => violations.push(Violation::new(places.value(index), detail)),
        }
    }
    if violations.is_empty() {
        Ok(Test {
            column,
            key,
            compared_as,
            op: *op,
            values: parsed,
        })
    } else {
        Err(violations)
    }
}

/// Finds a column, or a map column with a key behind the first dot.
fn find(dataset: &Dataset, field: &str) -> Result<(usize, Option<String>), String> {
    let (name, key) = match field.split_once('.') {
        Some((name, key)) => (name, Some(key)),
        None => (field, None),
    };
    let unknown = || {
        let fields: Vec<_> = dataset.columns.iter().filter_map(field_name).collect();
        format!(
            "the field {field:?} is unknown; known are {}",
            fields.join(", ")
        )
    };
    let (index, column) = dataset.column(name).ok_or_else(unknown)?;
    if !column.filterable {
        return Err(format!("the field {name:?} cannot be filtered on"));
    }
    match (&column.value_type.kind, key) {
        (Kind::JsonMap, Some(key)) if key.contains(".:") => Err(format!(
            "the field {field:?} has \".:\" in its key, which no key of {name} can have"
        )),
        (Kind::Map | Kind::JsonMap, Some(key)) if !key.is_empty() => {
            Ok((index, Some(key.to_owned())))
        }
        (Kind::Map | Kind::JsonMap, _) => Err(format!("{name} needs a key, as in \"{name}.key\"")),
        (_, Some(_)) => Err(unknown()),
        (_, None) => Ok((index, None)),
    }
}

fn field_name(column: &Column) -> Option<String> {
    let name = &column.name;
    match column.value_type.kind {
        _ if !column.filterable => None,
        Kind::Map | Kind::JsonMap => Some(format!("{name}.<key>")),
        _ => Some(name.clone()),
    }
}

const EQUALITY_OPS: &[Op] = &[Op::Eq, Op::Ne, Op::In, Op::NotIn, Op::Exists];

const ORDER_OPS: &[Op] = &[
    Op::Eq,
    Op::Ne,
    Op::In,
    Op::NotIn,
    Op::Gt,
    Op::Gte,
    Op::Lt,
    Op::Lte,
    Op::Exists,
];

const TEXT_OPS: &[Op] = &[
    Op::Eq,
    Op::Ne,
    Op::In,
    Op::NotIn,
    Op::Contains,
    Op::IContains,
    Op::StartsWith,
    Op::EndsWith,
    Op::Matches,
    Op::Exists,
];

/// Returns the operators that a filter on a column can have; on a key of it, if it is a map.
pub(crate) fn operators(column: &Column) -> &'static [Op] {
    match column.value_type.kind {
        _ if !column.filterable => &[],
        Kind::Scalar(scalar) => ops(scalar),
        _ => Op::ALL,
    }
}

/// Returns the operators that values of a type have.
fn ops(scalar: Scalar) -> &'static [Op] {
    match scalar {
        Scalar::String | Scalar::Enum => TEXT_OPS,
        Scalar::Bool | Scalar::Uuid | Scalar::Ipv4 | Scalar::Ipv6 => EQUALITY_OPS,
        _ => ORDER_OPS,
    }
}
