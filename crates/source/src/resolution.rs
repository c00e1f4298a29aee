//! What a definition comes to with the tables that the server has.

use crate::catalogue::{Column, Dataset, Lack, OrderKey, Source, Table};
use crate::column_type::{ColumnType, Kind, Scalar};
use crate::definition::{ColumnDefinition, Definition, TableName};
use crate::expression::{Alternatives, MapKey};
use crate::fit::fit;
use crate::key_bounds::key_bounds;
use crate::seen::{Seen, SeenTable};
use crate::server_type::{NANOSECONDS, ServerType};

/// A dataset, or why there is none, and what it lacks.
pub(crate) struct Resolution {
    pub(crate) dataset: Result<Dataset, String>,
    pub(crate) lacks: Vec<Lack>,
}

/// A table of a definition that can be exported.
struct Candidate<'a> {
    /// Its number in the definition.
    slot: usize,
    name: &'a TableName,
    /// Nothing before the server was asked.
    seen: Option<&'a SeenTable>,
    time: &'a str,
    tenant: String,
}

/// An expression with the type that the server says it has.
struct Typed<'a> {
    sql: &'a str,
    server: Option<&'a ServerType>,
}

/// Resolves a definition as if the server had all of it, each in its preferred form.
pub(crate) fn assume(definition: &Definition) -> Dataset {
    let tables = definition.tables.iter().enumerate();
    let candidates = tables.filter_map(|(slot, names)| {
        Some(Candidate {
            slot,
            name: names.first()?,
            seen: None,
            time: definition.time.first(),
            tenant: operand(definition.tenant.first()),
        })
    });
    build(definition, &candidates.collect::<Vec<_>>(), &mut Vec::new())
}

/// Resolves a definition with what the server has.
pub(crate) fn resolve(definition: &Definition, seen: &Seen) -> Resolution {
    let mut lacking = Vec::new();
    let mut candidates = Vec::new();
    for (slot, names) in definition.tables.iter().enumerate() {
        // A table of another kind can have the name.
        let candidate = names
            .iter()
            .filter_map(|name| Some((name, seen.get(name)?)))
            .find_map(|(name, table)| Candidate::new(definition, slot, name, table));
        match candidate {
            Some(candidate) => candidates.push(candidate),
            None => lacking.push(missing(definition, names, seen)),
        }
    }
    let dataset = if candidates.is_empty() {
        Err(format!("ClickHouse has no {}", lacking.join(" and no ")))
    } else {
        Ok(build(definition, &candidates, &mut lacking))
    };
    let lack = |what| Lack {
        dataset: definition.name.clone(),
        what,
    };
    Resolution {
        dataset,
        lacks: lacking.into_iter().map(lack).collect(),
    }
}

/// Says what is missing of a table: all of it, or what it cannot do without.
fn missing(definition: &Definition, names: &[TableName], seen: &Seen) -> String {
    let text = |name: &TableName| name.to_string().replace('`', "");
    let there = names.iter().find_map(|name| Some((name, seen.get(name)?)));
    let Some((name, table)) = there else {
        let names: Vec<_> = names.iter().map(text).collect();
        return format!("table {}", names.join(" or "));
    };
    let expressions = match find(&definition.time, Some(table)) {
        None => &definition.time,
        Some(_) => &definition.tenant,
    };
    let expressions: Vec<_> = expressions.iter().collect();
    format!("{} in the table {}", expressions.join(" or "), text(name))
}

fn build<'a>(
    definition: &'a Definition,
    candidates: &[Candidate<'a>],
    lacking: &mut Vec<String>,
) -> Dataset {
    let mut columns: Vec<Column> = Vec::new();
    for (number, column) in definition.columns.iter().enumerate() {
        if columns.iter().any(|other| other.name == column.name) {
            continue;
        }
        if let Some(column) = build_column(column, candidates) {
            columns.push(column);
            continue;
        }
        let rest = &definition.columns[number + 1..];
        if !rest.iter().any(|other| other.name == column.name) {
            lacking.push(format!("column {}", column.name));
        }
    }
    // What some table does not have cannot order the rows of all.
    let can_order = |key: &&Alternatives| candidates.iter().all(|it| it.find(key).is_some());
    let order_by: Vec<_> = definition.order_by.iter().filter(can_order).collect();
    let tables = candidates
        .iter()
        .map(|candidate| candidate.table(definition, &order_by));
    Dataset {
        title: definition.title.clone(),
        description: definition.description.clone(),
        tables: tables.collect(),
        columns,
    }
}

/// Builds a column, if all of the tables have it.
fn build_column<'a>(
    definition: &'a ColumnDefinition,
    candidates: &[Candidate<'a>],
) -> Option<Column> {
    let typed = candidates
        .iter()
        .map(|candidate| candidate.find(definition.sql.get(candidate.slot)?))
        .collect::<Option<Vec<_>>>()?;
    let servers: Vec<_> = typed.iter().filter_map(|typed| typed.server).collect();
    let value_type = fit(&definition.value_type, &servers);
    let sources = typed.iter().map(|typed| {
        let is_alone = candidates.len() == 1;
        source(typed, &value_type, is_alone)
    });
    Some(Column {
        name: definition.name.clone(),
        filterable: definition.is_filterable,
        sources: sources.collect(),
        value_type,
    })
}

fn source(typed: &Typed<'_>, value_type: &ColumnType, is_alone: bool) -> Source {
    let sql = typed.sql.to_owned();
    let is_json = typed
        .server
        .is_some_and(|it| *it.bare() == ServerType::Json);
    let far = typed.server.filter(|server| {
        value_type.kind == Kind::Scalar(Scalar::Timestamp) && server.exceeds_nanoseconds()
    });
    let cast = || match far {
        Some(server) => cast(&clamped(&operand(&sql), server), value_type),
        None => cast(&sql, value_type),
    };
    let is_text = typed.server.is_none_or(comes_as_text);
    // Texts and maps of them come in any form that the reader knows, as it costs ClickHouse most to
    // change those, unless tables must agree on one.
    let selected = match &value_type.kind {
        Kind::JsonMap if !is_json => format!("toJSONString({sql})"),
        Kind::Map | Kind::JsonMap if is_alone => sql.clone(),
        Kind::Scalar(scalar) if scalar.is_text() && is_alone && is_text => sql.clone(),
        _ => cast(),
    };
    let is_text_of_another_type = |server: &ServerType| {
        !matches!(
            server.name(),
            Some("String" | "FixedString" | "Nothing") | None
        )
    };
    let compared = match value_type.kind {
        Kind::Scalar(Scalar::Enum) => cast(),
        _ if far.is_some() => cast(),
        Kind::Scalar(Scalar::String)
            if is_json || typed.server.is_some_and(is_text_of_another_type) =>
        {
            cast()
        }
        _ => operand(&sql),
    };
    Source {
        sql,
        selected,
        compared,
        is_json,
    }
}

/// Tells whether values of a type come as texts, or as JSON, which is text.
fn comes_as_text(server: &ServerType) -> bool {
    let texts = [
        "String",
        "FixedString",
        "Enum8",
        "Enum16",
        "UUID",
        "IPv4",
        "IPv6",
    ];
    match server.bare() {
        ServerType::Json => true,
        ServerType::Named(name) => texts.contains(&name.as_str()),
        _ => false,
    }
}

/// Returns the first expression that a table has.
fn find<'a>(alternatives: &'a Alternatives, seen: Option<&'a SeenTable>) -> Option<Typed<'a>> {
    let Some(seen) = seen else {
        return Some(Typed {
            sql: alternatives.first(),
            server: None,
        });
    };
    alternatives.iter().find_map(|sql| {
        Some(Typed {
            sql,
            server: Some(seen.types.get(sql)?),
        })
    })
}

/// Returns the expression of the organization. A key of a map can be a path of a JSON column.
fn find_tenant(alternatives: &Alternatives, seen: &SeenTable) -> Option<String> {
    alternatives.iter().find_map(|sql| {
        let Some(key) = MapKey::parse(sql) else {
            return seen.types.contains_key(sql).then(|| operand(sql));
        };
        Some(match seen.types.get(key.column)?.bare() {
            ServerType::Json => key.of_json(),
            _ => operand(sql),
        })
    })
}

impl<'a> Candidate<'a> {
    fn new(
        definition: &'a Definition,
        slot: usize,
        name: &'a TableName,
        seen: &'a SeenTable,
    ) -> Option<Self> {
        Some(Self {
            slot,
            name,
            seen: Some(seen),
            time: find(&definition.time, Some(seen))?.sql,
            tenant: find_tenant(&definition.tenant, seen)?,
        })
    }

    fn find(&self, alternatives: &'a Alternatives) -> Option<Typed<'a>> {
        find(alternatives, self.seen)
    }

    fn table(&self, definition: &Definition, order_by: &[&'a Alternatives]) -> Table {
        let is_final = definition.is_final && self.seen.is_none_or(SeenTable::has_final);
        let order_by = order_by.iter().filter_map(|key| self.find(key));
        let bounds = self.seen.map(|seen| {
            let keys = [&*seen.sorting_key, &*seen.partition_key];
            key_bounds(self.time, &seen.key_columns, keys)
        });
        Table {
            from: format!("{}{}", self.name, if is_final { " FINAL" } else { "" }),
            // Rows that are yet to be merged cannot be told from the others before FINAL is done.
            has_parts: !is_final && self.seen.is_none_or(SeenTable::has_parts),
            has_estimates: self.seen.is_none_or(SeenTable::has_estimates),
            time: self.time.to_owned(),
            time_scale: match self
                .seen
                .and_then(|seen| Some(seen.types.get(self.time)?.bare()))
            {
                Some(ServerType::DateTime64(scale)) => *scale,
                _ => NANOSECONDS,
            },
            tenant: self.tenant.clone(),
            order_by: order_by.map(OrderKey::from).collect(),
            bounds: bounds.unwrap_or_default(),
        }
    }
}

impl From<Typed<'_>> for OrderKey {
    fn from(Typed { sql, server }: Typed<'_>) -> Self {
        let is_json = server.is_some_and(|it| *it.bare() == ServerType::Json);
        Self {
            sql: sql.to_owned(),
            sorted_by: if is_json {
                format!("toString({sql})")
            } else {
                sql.to_owned()
            },
        }
    }
}

/// Takes the nearest time that is nanoseconds in 64 bits: `DateTime64(3)` goes on to the year 2299, and a cast
/// of such a time ends a query, even of one that NULL hides.
fn clamped(sql: &str, server: &ServerType) -> String {
    let time = |text: &str| format!("toDateTime64('{text}', 0, 'UTC')");
    let (first, last) = (time("1900-01-01 00:00:00"), time("2262-04-11 23:47:16"));
    let nearest =
        |sql: &str| format!("multiIf({sql} < {first}, {first}, {sql} > {last}, {last}, {sql})");
    if server.is_nullable() {
        let there = nearest(&format!("assumeNotNull({sql})"));
        format!("if(isNull({sql}), NULL, {there})")
    } else {
        nearest(sql)
    }
}

/// Casts an expression to the type of an export.
fn cast(sql: &str, column_type: &ColumnType) -> String {
    let clickhouse = column_type.clickhouse().replace('\'', "\\'");
    format!("CAST({sql}, '{clickhouse}')")
}

/// Puts an expression into parentheses unless it is a mere name.
pub(crate) fn operand(sql: &str) -> String {
    if sql.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        sql.to_owned()
    } else {
        format!("({sql})")
    }
}
