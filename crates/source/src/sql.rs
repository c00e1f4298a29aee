//! The one place that builds SQL.
//!
//! Expressions and tables come from the catalogue; the organization, times, keys and values are
//! bound as parameters, which the engine parses; nothing of a request is ever part of the text.

use std::fmt::{self, Write as _};
use std::num::NonZeroU64;

use arrow::datatypes::DataType;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Op, RowOrder, TimeRange};

use crate::column_type::{ColumnType, Kind, Scalar};
use crate::plan::BLOCK_ROWS;
use crate::predicate::{Predicate, Test};
use crate::query::{Query, hidden_name};
use crate::value::Value;

/// A query with the parameters that it names.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<(String, Parameter)>,
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parameter {
    One(Value),
    Many(Vec<Value>),
}

/// As the HTTP interface takes it: one value as in `TabSeparated`, several as an array.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(Value::Text(text)) => f.write_str(&escaped(text)),
            Self::One(value) => value.fmt(f),
            Self::Many(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    match value {
                        Value::Text(text) => write!(f, "'{}'", escaped(text))?,
                        value => value.fmt(f)?,
                    }
                }
                f.write_char(']')
            }
        }
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\\' | '\'' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Selects the rows of a range, in the order that was asked for.
pub(crate) fn rows(query: &Query, range: TimeRange) -> Statement {
    let dataset = &query.dataset;
    let order = match query.order {
        RowOrder::Time => std::iter::once(&dataset.time)
            .chain(&dataset.order_by)
            .collect(),
        RowOrder::Storage => Vec::new(),
    };
    select(query, range, &[], &order)
}

/// Selects the rows of a range in any order, with some more columns of the dataset.
pub(crate) fn unordered_rows(query: &Query, range: TimeRange, hidden: &[usize]) -> Statement {
    select(query, range, hidden, &[])
}

/// Selects rows.
///
/// The columns get numbers for names in the inner query: a public name that is also a column of
/// the table would stand for the cast one in `WHERE` otherwise, and hide it from the index.
fn select(query: &Query, range: TimeRange, hidden: &[usize], order: &[&String]) -> Statement {
    let dataset = &query.dataset;
    let columns: Vec<_> = query.columns.iter().chain(hidden).copied().collect();
    let public = columns.iter().enumerate().map(|(number, index)| {
        let name = match number.checked_sub(query.columns.len()) {
            None => dataset.columns[*index].name.clone(),
            Some(hidden) => hidden_name(hidden),
        };
        format!("_{number} AS `{name}`")
    });
    let public = public.collect::<Vec<_>>().join(", ");
    let order_names: Vec<_> = (0..order.len())
        .map(|number| format!("_o{number}"))
        .collect();
    let inner = Builder::union(query, range, |table| {
        let order = order.iter().zip(&order_names);
        let order = order.map(|(sql, name)| format!("{sql} AS {name}"));
        numbered(query, &columns, table).chain(order).collect()
    });
    let mut sql = format!("SELECT {public}\nFROM (\n{}\n)", inner.sql);
    if !order.is_empty() {
        sql.push_str("\nORDER BY ");
        sql.push_str(&order_names.join(", "));
    }
    Statement {
        sql,
        parameters: inner.parameters,
    }
}

/// Selects columns of one of the tables under their numbers.
fn numbered(query: &Query, columns: &[usize], table: usize) -> impl Iterator<Item = String> {
    columns.iter().enumerate().map(move |(number, index)| {
        let column = &query.dataset.columns[*index];
        let sql = selected(&column.sql[table], &column.value_type, query);
        format!("{sql} AS _{number}")
    })
}

/// Counts the rows of a range in buckets of `width_us` microseconds: the number of each bucket
/// that has rows, and how many. Where not all rows are counted, but those of one in so many blocks of
/// [`BLOCK_ROWS`] of a table, ClickHouse reads the conditions' columns for these only.
pub(crate) fn histogram(
    query: &Query,
    range: TimeRange,
    width_us: u64,
    one_in: Option<NonZeroU64>,
) -> Statement {
    // Each part of a table begins to be counted elsewhere, or small ones would all be or none.
    let chosen =
        format!("(intDiv(_part_offset, {BLOCK_ROWS}) + cityHash64(_part)) % {{one_in:UInt64}} = 0");
    let chosen = one_in.is_some().then_some(chosen.as_str());
    let inner = Builder::union_of(query, range, chosen, |_| {
        let time = &query.dataset.time;
        vec![format!(
            "intDiv(toUInt64(toUnixTimestamp64Micro(CAST({time}, 'DateTime64(6)')) \
             - toUnixTimestamp64Micro({{start:DateTime64(9, 'UTC')}})), {{width:UInt64}}) AS _0"
        )]
    });
    let mut parameters = inner.parameters;
    let numbers = [
        ("width", Some(width_us)),
        ("one_in", one_in.map(NonZeroU64::get)),
    ];
    parameters.extend(numbers.into_iter().filter_map(|(name, number)| {
        Some((name.to_owned(), Parameter::One(Value::Unsigned(number?))))
    }));
    Statement {
        sql: format!(
            "SELECT _0 AS bucket, count() AS rows\nFROM (\n{}\n)\nGROUP BY _0\nORDER BY _0",
            inner.sql
        ),
        parameters,
    }
}

/// Has a column come as its type. Texts and maps of them may come in any form that the reader knows,
/// as it costs ClickHouse most to change those, unless tables are to agree on one.
fn selected(sql: &str, column_type: &ColumnType, query: &Query) -> String {
    let is_text = match column_type.kind {
        Kind::Scalar(scalar) => scalar.arrow() == DataType::Utf8,
        Kind::Map => true,
        Kind::List(_) | Kind::Struct(_) => false,
    };
    if is_text && query.dataset.tables.len() == 1 {
        sql.to_owned()
    } else {
        cast(sql, column_type)
    }
}

/// Counts the rows of a slice.
pub(crate) fn count(query: &Query, slice: TimeRange) -> Statement {
    let inner = Builder::union(query, slice, |_| vec!["1".to_owned()]);
    Statement {
        sql: format!("SELECT count() AS rows\nFROM (\n{}\n)", inner.sql),
        parameters: inner.parameters,
    }
}

/// Measures some rows of a query, whichever come first: how many there are, and the bytes that their
/// columns take in memory.
pub(crate) fn sample(query: &Query, rows: u64) -> Statement {
    let inner = Builder::union(query, query.range(), |table| {
        numbered(query, &query.columns, table).collect()
    });
    let names: Vec<_> = (0..query.columns.len())
        .map(|number| format!("_{number}"))
        .collect();
    Statement {
        sql: format!(
            "SELECT count() AS rows, sum(byteSize({})) AS bytes\nFROM (\nSELECT * FROM (\n{}\n)\nLIMIT {rows}\n)",
            names.join(", "),
            inner.sql
        ),
        parameters: inner.parameters,
    }
}

/// Asks how much of each table a range makes ClickHouse look at.
pub(crate) fn estimate(query: &Query, range: TimeRange) -> Statement {
    let inner = Builder::union(query, range, |_| vec!["1".to_owned()]);
    Statement {
        sql: format!("EXPLAIN ESTIMATE\n{}", inner.sql),
        parameters: inner.parameters,
    }
}

fn cast(sql: &str, column_type: &ColumnType) -> String {
    let clickhouse = column_type.clickhouse().replace('\'', "\\'");
    format!("CAST({sql}, '{clickhouse}')")
}

struct Builder<'a> {
    query: &'a Query,
    table: usize,
    parameters: Vec<(String, Parameter)>,
}

impl Builder<'_> {
    /// Selects from each table of the dataset the organization's rows of a range that the filter
    /// lets through. Every query on telemetry is made here, so none can lack the tenant.
    fn union(query: &Query, range: TimeRange, select: impl Fn(usize) -> Vec<String>) -> Statement {
        Self::union_of(query, range, None, select)
    }

    /// The same of those rows only for which another condition holds, which is looked at first.
    fn union_of(
        query: &Query,
        range: TimeRange,
        condition: Option<&str>,
        select: impl Fn(usize) -> Vec<String>,
    ) -> Statement {
        let first = condition.map_or(String::new(), |first| format!("\nPREWHERE {first}"));
        let mut parameters = Vec::new();
        let mut branches = Vec::new();
        for (table, name) in query.dataset.tables.iter().enumerate() {
            let mut builder = Builder {
                query,
                table,
                parameters: Vec::new(),
            };
            let conditions = builder.conditions(range);
            branches.push(format!(
                "SELECT {}\nFROM {name}{first}\nWHERE {}",
                select(table).join(", "),
                conditions.join("\n  AND ")
            ));
            // The same for each table.
            parameters = builder.parameters;
        }
        Statement {
            sql: branches.join("\nUNION ALL\n"),
            parameters,
        }
    }

    fn conditions(&mut self, range: TimeRange) -> Vec<String> {
        let dataset = &self.query.dataset;
        self.name(
            "organization",
            Value::Text(self.query.organization.to_string()),
        );
        self.name("start", Value::time(range.start()));
        self.name("end", Value::time(range.end()));
        let time = operand(&dataset.time);
        let mut conditions = vec![
            format!("{} = {{organization:String}}", operand(&dataset.tenant)),
            format!("{time} >= {{start:DateTime64(9, 'UTC')}}"),
            format!("{time} < {{end:DateTime64(9, 'UTC')}}"),
        ];
        if let Some((coarse, (first, last))) = dataset.coarse_time.as_deref().zip(seconds(range)) {
            self.name("first_second", Value::seconds(first));
            self.name("last_second", Value::seconds(last));
            let coarse = operand(coarse);
            conditions.push(format!("{coarse} >= {{first_second:DateTime('UTC')}}"));
            conditions.push(format!("{coarse} <= {{last_second:DateTime('UTC')}}"));
        }
        match &self.query.predicate {
            Predicate::All(predicates) => {
                conditions.extend(predicates.iter().map(|predicate| self.predicate(predicate)));
            }
            predicate => conditions.push(self.predicate(predicate)),
        }
        conditions
    }

    fn predicate(&mut self, predicate: &Predicate) -> String {
        match predicate {
            Predicate::All(each) if each.is_empty() => "true".to_owned(),
            Predicate::Any(each) if each.is_empty() => "false".to_owned(),
            Predicate::All(each) => self.joined(each, " AND "),
            Predicate::Any(each) => self.joined(each, " OR "),
            Predicate::Not(inner) => format!("NOT ({})", self.predicate(inner)),
            Predicate::Test(test) => self.test(test),
        }
    }

    fn joined(&mut self, predicates: &[Predicate], word: &str) -> String {
        let each: Vec<_> = predicates.iter().map(|each| self.predicate(each)).collect();
        format!("({})", each.join(word))
    }

    fn test(&mut self, test: &Test) -> String {
        let holds = match &test.key {
            Some(key) => self.key_holds(key, test),
            None => self.column_holds(test),
        };
        let negated = match test.op {
            Op::Ne | Op::NotIn => true,
            Op::Exists => test.values == [Value::Bool(false)],
            _ => false,
        };
        if negated {
            format!("NOT ({holds})")
        } else {
            holds
        }
    }

    fn column_holds(&mut self, test: &Test) -> String {
        let column = &self.query.dataset.columns[test.column];
        let sql = &column.sql[self.table];
        let value = match column.value_type.kind {
            Kind::Scalar(Scalar::Enum) => cast(sql, &column.value_type),
            _ => operand(sql),
        };
        let comparison = self.comparison(&value, test);
        if column.value_type.nullable && test.op != Op::Exists {
            format!("ifNull({comparison}, false)")
        } else {
            comparison
        }
    }

    fn key_holds(&mut self, key: &str, test: &Test) -> String {
        let column = &self.query.dataset.columns[test.column];
        let map = operand(&column.sql[self.table]);
        let key = self.bind(Parameter::One(Value::Text(key.to_owned())), "String");
        // A key that is not there has the value '', which is a value, too.
        let has_key = format!("mapContains({map}, {key})");
        if test.op == Op::Exists {
            has_key
        } else if test.compared_as == Scalar::Float64 {
            let value = format!("toFloat64OrNull({map}[{key}])");
            format!("ifNull({}, false)", self.comparison(&value, test))
        } else {
            let value = format!("{map}[{key}]");
            format!("({has_key} AND {})", self.comparison(&value, test))
        }
    }

    /// Compares with the test's values; the negative operators like the positive ones.
    fn comparison(&mut self, sql: &str, test: &Test) -> String {
        if test.op == Op::Exists {
            return format!("isNotNull({sql})");
        }
        let scalar = test.compared_as.compared_as();
        let values = match (&test.values[..], test.op) {
            (values, Op::In | Op::NotIn) => self.bind(
                Parameter::Many(values.to_vec()),
                &format!("Array({scalar})"),
            ),
            ([value, ..], _) => self.bind(Parameter::One(value.clone()), scalar),
            ([], _) => return "false".to_owned(),
        };
        match test.op {
            Op::Eq | Op::Ne => format!("{sql} = {values}"),
            Op::In | Op::NotIn => format!("{sql} IN {values}"),
            Op::Gt => format!("{sql} > {values}"),
            Op::Gte => format!("{sql} >= {values}"),
            Op::Lt => format!("{sql} < {values}"),
            Op::Lte => format!("{sql} <= {values}"),
            Op::Contains => format!("position({sql}, {values}) > 0"),
            Op::IContains => format!("positionCaseInsensitiveUTF8({sql}, {values}) > 0"),
            Op::StartsWith => format!("startsWith({sql}, {values})"),
            Op::EndsWith => format!("endsWith({sql}, {values})"),
            Op::Matches | Op::Exists => format!("match({sql}, {values})"),
        }
    }

    fn name(&mut self, name: &str, value: Value) {
        self.parameters
            .push((name.to_owned(), Parameter::One(value)));
    }

    fn bind(&mut self, parameter: Parameter, clickhouse_type: &str) -> String {
        let name = format!("p{}", self.parameters.len());
        let placeholder = format!("{{{name}:{clickhouse_type}}}");
        self.parameters.push((name, parameter));
        placeholder
    }
}

/// Puts an expression into parentheses unless it is a mere name.
fn operand(sql: &str) -> String {
    if sql.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        sql.to_owned()
    } else {
        format!("({sql})")
    }
}

/// Returns the first and the last whole second that rows of a range can have, unless one of them
/// is out of the range of ClickHouse's `DateTime`, where a time in seconds means nothing.
fn seconds(range: TimeRange) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (first, last) = (range.start(), range.end() + TimeDelta::seconds(1));
    let fits = |time: DateTime<Utc>| u32::try_from(time.timestamp()).is_ok();
    (fits(first) && fits(last)).then_some((first, last))
}

#[cfg(test)]
mod tests;
