//! The one place that builds SQL.
//!
//! Expressions and tables come from the catalogue; the organization, times, keys and values are
//! bound as parameters, which the engine parses; nothing of a request is ever part of the text.

use std::num::NonZeroU64;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Op, RowOrder, TimeRange};

use crate::catalogue::Table;
use crate::column_type::Scalar;
use crate::key_bounds::KeyBound;
use crate::parameter::{FIELD_BYTES, Parameter, field_bytes};
use crate::plan::BLOCK_ROWS;
use crate::predicate::{Predicate, Test};
use crate::query::{Query, hidden_name};
use crate::resolution::operand;
use crate::server_type::NANOSECONDS;
use crate::value::Value;

/// A query with the parameters that it names.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<(String, Parameter)>,
}

/// Selects the rows of a range, in the order that was asked for.
pub(crate) fn rows(query: &Query, range: TimeRange) -> Statement {
    select(query, range, &[], query.order)
}

/// Selects no rows, by the statement that would select them all.
pub(crate) fn none(query: &Query) -> Statement {
    let mut statement = rows(query, query.range());
    statement.sql.push_str("\nLIMIT 0");
    statement
}

/// Selects the rows of a range in any order, with some more columns of the dataset.
pub(crate) fn unordered_rows(query: &Query, range: TimeRange, hidden: &[usize]) -> Statement {
    select(query, range, hidden, RowOrder::Storage)
}

/// Selects rows.
///
/// The columns get numbers for names in the inner query: a public name that is also a column of
/// the table would stand for the cast one in `WHERE` otherwise, and hide it from the index.
fn select(query: &Query, range: TimeRange, hidden: &[usize], order: RowOrder) -> Statement {
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
    let inner = Builder::union(query, range, |number| {
        let table = &dataset.tables[number];
        let keys = table.order_by.iter().map(|key| &key.sorted_by);
        let order = match order {
            RowOrder::Time => std::iter::once(&table.time).chain(keys).collect(),
            RowOrder::Storage => Vec::new(),
        };
        let order = order.iter().enumerate();
        let order = order.map(|(number, sql)| format!("{sql} AS _o{number}"));
        numbered(query, &columns, number).chain(order).collect()
    });
    let mut sql = format!("SELECT {public}\nFROM (\n{}\n)", inner.sql);
    if order == RowOrder::Time {
        let keys = 0..=dataset.order_keys();
        let keys: Vec<_> = keys.map(|number| format!("_o{number}")).collect();
        sql.push_str("\nORDER BY ");
        sql.push_str(&keys.join(", "));
    }
    Statement {
        sql,
        parameters: inner.parameters,
    }
}

/// Selects columns of one of the tables under their numbers.
fn numbered(query: &Query, columns: &[usize], table: usize) -> impl Iterator<Item = String> {
    columns.iter().enumerate().map(move |(number, index)| {
        let source = &query.dataset.columns[*index].sources[table];
        format!("{} AS _{number}", source.selected)
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
    let inner = Builder::union_of(query, range, chosen, |table| {
        let time = &query.dataset.tables[table].time;
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

/// Counts the rows of a slice.
pub(crate) fn count(query: &Query, slice: TimeRange) -> Statement {
    let inner = Builder::union(query, slice, |_| vec!["1".to_owned()]);
    Statement {
        sql: format!("SELECT count() AS rows\nFROM (\n{}\n)", inner.sql),
        parameters: inner.parameters,
    }
}

/// Measures some rows of a range, whichever come first: how many there are, and the bytes that their
/// columns take in memory.
pub(crate) fn sample(query: &Query, range: TimeRange, rows: u64) -> Statement {
    let inner = Builder::union(query, range, |table| {
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

/// Asks how much of each table a range makes ClickHouse look at: database, table, parts, rows and marks.
pub(crate) fn estimate(query: &Query, range: TimeRange) -> Statement {
    let inner = Builder::union(query, range, |_| vec!["1".to_owned()]);
    Statement {
        sql: format!("EXPLAIN ESTIMATE\n{}", inner.sql),
        parameters: inner.parameters,
    }
}

/// Asks for tables of a database: name, engine and keys of each, as [`TableRow`](crate::look::TableRow).
pub(crate) fn tables(database: &str, tables: &[&str]) -> Statement {
    Statement {
        sql: "SELECT database, name, engine, engine_full, sorting_key, partition_key\n\
              FROM system.tables\n\
              WHERE database = {database:String} AND name IN {tables:Array(String)}"
            .to_owned(),
        parameters: names(database, tables),
    }
}

/// Asks for the columns of tables, as [`ColumnRow`](crate::look::ColumnRow).
pub(crate) fn columns(database: &str, tables: &[&str]) -> Statement {
    Statement {
        sql: "SELECT database, table, name, type, default_kind, default_expression\n\
              FROM system.columns\n\
              WHERE database = {database:String} AND table IN {tables:Array(String)}\n\
              ORDER BY table, position"
            .to_owned(),
        parameters: names(database, tables),
    }
}

fn names(database: &str, tables: &[&str]) -> Vec<(String, Parameter)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let tables = tables.iter().map(|table| text(table)).collect();
    vec![
        ("database".to_owned(), Parameter::One(text(database))),
        ("tables".to_owned(), Parameter::Many(tables)),
    ]
}

/// Asks for no rows, whose header has the types of a preset's expressions.
pub(crate) fn header(from: &str, expressions: &[&str]) -> Statement {
    let columns = expressions.iter().enumerate();
    let columns: Vec<_> = columns
        .map(|(number, sql)| format!("{sql} AS _{number}"))
        .collect();
    Statement {
        sql: format!("SELECT {}\nFROM {from}\nLIMIT 0", columns.join(", ")),
        parameters: Vec::new(),
    }
}

struct Builder<'a> {
    query: &'a Query,
    table: usize,
    /// How many values of the filter are bound.
    filter: usize,
    /// What the tables before have bound.
    before: &'a [(String, Parameter)],
    parameters: Vec<(String, Parameter)>,
}

impl Builder<'_> {
    /// Selects from each table of the dataset the organization's rows of a range that the filter
    /// lets through. Every query on telemetry is made here, so none can lack the tenant, and what the rows
    /// are narrowed to.
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
        for (number, table) in query.dataset.tables.iter().enumerate() {
            let mut builder = Builder {
                query,
                table: number,
                filter: 0,
                before: &parameters,
                parameters: Vec::new(),
            };
            let conditions = builder.conditions(table, range);
            branches.push(format!(
                "SELECT {}\nFROM {}{first}\nWHERE {}",
                select(number).join(", "),
                table.from,
                conditions.join("\n  AND ")
            ));
            let bound = builder.parameters;
            for (name, parameter) in bound {
                if !parameters.iter().any(|(other, _)| *other == name) {
                    parameters.push((name, parameter));
                }
            }
        }
        Statement {
            sql: branches.join("\nUNION ALL\n"),
            parameters,
        }
    }

    fn conditions(&mut self, table: &Table, range: TimeRange) -> Vec<String> {
        self.name(
            "organization",
            Value::Text(self.query.organization.to_string()),
        );
        self.name("start", Value::time(range.start()));
        self.name("end", Value::time(range.end()));
        let time = operand(&table.time);
        let [start, end] = self.window(table.time_scale, range);
        let mut conditions = vec![format!("{} = {{organization:String}}", table.tenant)];
        let narrowing = self.query.narrowing.iter();
        conditions.extend(narrowing.map(|predicate| self.predicate(predicate)));
        conditions.extend([format!("{time} >= {start}"), format!("{time} < {end}")]);
        for bound in &table.bounds {
            conditions.extend(self.key_conditions(bound, range).into_iter().flatten());
        }
        match &self.query.predicate {
            Predicate::All(predicates) => {
                conditions.extend(predicates.iter().map(|predicate| self.predicate(predicate)));
            }
            predicate => conditions.push(self.predicate(predicate)),
        }
        conditions
    }

    /// Returns the bounds of a range as a column of so many digits has them: of its times, those from the next
    /// that it can have are in the range, and not at its end.
    fn window(&mut self, scale: u8, range: TimeRange) -> [String; 2] {
        [("start", range.start()), ("end", range.end())].map(|(name, time)| {
            if scale >= NANOSECONDS {
                return format!("{{{name}:DateTime64(9, 'UTC')}}");
            }
            let name = format!("{name}_{scale}");
            self.name(&name, Value::time(ceil(time, scale)));
            format!("{{{name}:DateTime64({scale}, 'UTC')}}")
        })
    }

    /// Says of a key what is true of it for all times of a range, or nothing where its functions
    /// mean nothing: ClickHouse's `DateTime` is 32 bits of seconds.
    fn key_conditions(&mut self, bound: &KeyBound, range: TimeRange) -> Option<[String; 2]> {
        let start = range.start() - bound.margin;
        let end = range.end() + bound.margin;
        if !(EARLIEST_KEY..LATEST_KEY).contains(&start.timestamp())
            || !(EARLIEST_KEY..LATEST_KEY).contains(&end.timestamp())
        {
            return None;
        }
        let [start, end] = match bound.margin.num_hours() {
            0 => ["start".to_owned(), "end".to_owned()],
            hours => {
                let names = [format!("start_{hours}h"), format!("end_{hours}h")];
                self.name(&names[0], Value::time(start));
                self.name(&names[1], Value::time(end));
                names
            }
        };
        let value = |name: &str| bound.of(&format!("{{{name}:DateTime64(9, 'UTC')}}"));
        Some([
            format!("{} >= {}", bound.sql, value(&start)),
            format!("{} <= {}", bound.sql, value(&end)),
        ])
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
        let comparison = self.comparison(&column.sources[self.table].compared, test);
        if column.value_type.nullable && test.op != Op::Exists {
            format!("ifNull({comparison}, false)")
        } else {
            comparison
        }
    }

    fn key_holds(&mut self, key: &str, test: &Test) -> String {
        let source = &self.query.dataset.columns[test.column].sources[self.table];
        let (value, has_key) = if source.is_json {
            let value = self.json_value(&source.sql, key);
            (
                format!("ifNull({value}, '')"),
                format!("isNotNull({value})"),
            )
        } else {
            let map = operand(&source.sql);
            let key = self.bind_one(&Value::Text(key.to_owned()), "String");
            // A key that is not there has the value '', which is a value, too.
            (
                format!("{map}[{key}]"),
                format!("mapContains({map}, {key})"),
            )
        };
        if test.op == Op::Exists {
            has_key
        } else if test.compared_as == Scalar::Float64 {
            let value = format!("toFloat64OrNull({value})");
            format!("ifNull({}, false)", self.comparison(&value, test))
        } else {
            format!("({has_key} AND {})", self.comparison(&value, test))
        }
    }

    /// Returns the text at a path of a JSON column, or NULL. The dots of a key nest it or, with
    /// `json_type_escape_dots_in_keys`, are escaped.
    fn json_value(&mut self, column: &str, key: &str) -> String {
        let mut text = |path: String| {
            let path = self.bind_one(&Value::Text(path), "String");
            format!("CAST(getSubcolumn({column}, {path}), 'Nullable(String)')")
        };
        let nested = text(key.to_owned());
        if key.contains('.') {
            format!("coalesce({nested}, {})", text(key.replace('.', "%2E")))
        } else {
            nested
        }
    }

    /// Compares with the test's values; the negative operators like the positive ones.
    fn comparison(&mut self, sql: &str, test: &Test) -> String {
        if test.op == Op::Exists {
            return format!("isNotNull({sql})");
        }
        let scalar = test.compared_as.compared_as();
        if matches!(test.op, Op::In | Op::NotIn) {
            return self.one_of(sql, &test.values, scalar);
        }
        let Some(value) = test.values.first() else {
            return "false".to_owned();
        };
        let values = self.bind_one(value, scalar);
        match test.op {
            Op::Eq | Op::Ne | Op::In | Op::NotIn => format!("{sql} = {values}"),
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

    /// Compares with several values, in as many lists as it takes.
    fn one_of(&mut self, sql: &str, values: &[Value], scalar: &str) -> String {
        let mut lists: Vec<Vec<&Value>> = Vec::new();
        let mut room = 0;
        for value in values {
            let bytes = field_bytes(value);
            match lists.last_mut() {
                Some(list) if bytes <= room => list.push(value),
                _ => {
                    lists.push(vec![value]);
                    room = FIELD_BYTES;
                }
            }
            room = room.saturating_sub(bytes);
        }
        let lists = lists.into_iter().map(|list| match list[..] {
            [only] if field_bytes(only) > FIELD_BYTES => {
                format!("{sql} = {}", self.bind_one(only, scalar))
            }
            _ => {
                let list = Parameter::Many(list.into_iter().cloned().collect());
                let list = self.bind(list, &format!("Array({scalar})"));
                format!("{sql} IN {list}")
            }
        });
        let lists: Vec<_> = lists.collect();
        match &lists[..] {
            [] => "false".to_owned(),
            [only] => only.clone(),
            several => format!("({})", several.join(" OR ")),
        }
    }

    /// Binds a value, in as many pieces as it takes.
    fn bind_one(&mut self, value: &Value, clickhouse_type: &str) -> String {
        let bind =
            |builder: &mut Self, value: Value| builder.bind(Parameter::One(value), clickhouse_type);
        match value {
            Value::Text(text) if field_bytes(value) > FIELD_BYTES => {
                let characters: Vec<_> = text.chars().collect();
                // Four bytes at most, and a backslash before some of one byte.
                let pieces = characters.chunks(FIELD_BYTES / 4);
                let pieces = pieces.map(|piece| Value::Text(piece.iter().collect()));
                let pieces: Vec<_> = pieces.map(|piece| bind(self, piece)).collect();
                format!("concat({})", pieces.join(", "))
            }
            value => bind(self, value.clone()),
        }
    }

    fn name(&mut self, name: &str, value: Value) {
        self.parameters
            .push((name.to_owned(), Parameter::One(value)));
    }

    fn bind(&mut self, parameter: Parameter, clickhouse_type: &str) -> String {
        // Tables share the names of equal values. They may bind others: a path of JSON is two.
        let is_another = |name: &str| {
            let mut before = self.before.iter();
            before.any(|(other, value)| other == name && *value != parameter)
        };
        let mut name = format!("p{}", self.filter);
        while is_another(&name) {
            self.filter += 1;
            name = format!("p{}", self.filter);
        }
        self.filter += 1;
        let placeholder = format!("{{{name}:{clickhouse_type}}}");
        self.parameters.push((name, parameter));
        placeholder
    }
}

/// Returns the first time, from the given one on, that has so many digits behind its seconds.
fn ceil(time: DateTime<Utc>, scale: u8) -> DateTime<Utc> {
    let unit = 10_u32.pow(NANOSECONDS.saturating_sub(scale).into());
    let over = time.timestamp_subsec_nanos() % unit;
    match over {
        0 => time,
        over => time + TimeDelta::nanoseconds((unit - over).into()),
    }
}

/// The first second at which functions of time mean something in every time zone, and the first at
/// which they do not any more: the years 1973 to 2105.
const EARLIEST_KEY: i64 = 94_694_400;
const LATEST_KEY: i64 = 4_291_747_200;

#[cfg(test)]
mod tests;
