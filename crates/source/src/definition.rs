//! Datasets as the TOML text of a preset defines them, checked with everything that is wrong at
//! once.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalogue::{Column, Dataset};
use crate::column_type::{ColumnType, Kind, is_snake_case};

/// Reads the datasets of a preset; what is wrong with them is added to `errors`.
pub(crate) fn read(preset: &str, text: &str, errors: &mut Vec<String>) -> Vec<(String, Dataset)> {
    let raw = match toml::from_str::<BTreeMap<String, RawDataset>>(text) {
        Ok(raw) => raw,
        Err(error) => {
            errors.push(format!("{preset}: {error}"));
            return Vec::new();
        }
    };
    raw.into_iter()
        .map(|(name, raw)| {
            let mut checker = Checker {
                place: format!("{preset}, {name}"),
                errors,
            };
            let dataset = checker.dataset(&name, raw);
            (name, dataset)
        })
        .collect()
}

/// One text, or one for each table.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDataset {
    title: Option<String>,
    description: Option<String>,
    table: OneOrMany,
    time: String,
    coarse_time: Option<String>,
    tenant: String,
    order_by: Vec<String>,
    columns: Vec<RawColumn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    name: String,
    #[serde(rename = "type")]
    column_type: String,
    sql: Option<OneOrMany>,
    #[serde(default = "yes")]
    filter: bool,
}

fn yes() -> bool {
    true
}

/// Collects what is wrong with a dataset.
struct Checker<'a> {
    place: String,
    errors: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn reject(&mut self, detail: impl AsRef<str>) {
        self.errors
            .push(format!("{}: {}", self.place, detail.as_ref()));
    }

    fn dataset(&mut self, name: &str, raw: RawDataset) -> Dataset {
        if domain::DataType::parse(name).is_none() {
            self.reject("the name must be lower-case letters, digits and underscores");
        }
        let tables = match raw.table {
            OneOrMany::One(table) => vec![table],
            OneOrMany::Many(tables) => tables,
        };
        let tables: Vec<_> = tables.iter().map(|table| self.table(table)).collect();
        if tables.is_empty() {
            self.reject("has no table");
        }
        if raw.columns.is_empty() {
            self.reject("has no columns");
        }
        let expressions = [&raw.time, &raw.tenant].into_iter();
        for sql in expressions.chain(&raw.coarse_time).chain(&raw.order_by) {
            self.expression(sql);
        }
        let mut columns: Vec<Column> = Vec::with_capacity(raw.columns.len());
        for column in raw.columns {
            if columns.iter().any(|other| other.name == column.name) {
                self.reject(format!("the column {:?} is there twice", column.name));
            }
            columns.extend(self.column(column, tables.len()));
        }
        Dataset {
            title: raw.title,
            description: raw.description,
            tables,
            time: raw.time,
            coarse_time: raw.coarse_time,
            tenant: raw.tenant,
            order_by: raw.order_by,
            columns,
        }
    }

    /// Quotes `table` or `database.table`.
    fn table(&mut self, table: &str) -> String {
        let parts: Vec<_> = table.split('.').collect();
        let valid = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if parts.len() > 2 || !parts.iter().all(valid) {
            self.reject(format!("{table:?} is not the name of a table"));
        }
        format!("`{}`", parts.join("`.`"))
    }

    fn column(&mut self, raw: RawColumn, tables: usize) -> Option<Column> {
        let RawColumn {
            name,
            column_type,
            sql,
            filter,
        } = raw;
        if !is_snake_case(&name) {
            self.reject(format!("the column {name:?} must be named in snake case"));
        }
        let sql = match sql {
            None => vec![name.clone(); tables],
            Some(OneOrMany::One(sql)) => vec![sql; tables],
            Some(OneOrMany::Many(each)) => each,
        };
        if sql.len() != tables {
            self.reject(format!(
                "the column {name:?} needs one expression for each table"
            ));
        }
        for expression in &sql {
            self.expression(expression);
        }
        match ColumnType::parse(&column_type) {
            Ok(column_type) => Some(Column {
                name,
                filterable: filter && !matches!(column_type.kind, Kind::List(_) | Kind::Struct(_)),
                value_type: column_type,
                sql,
            }),
            Err(detail) => {
                self.reject(format!("the type of the column {name:?} {detail}"));
                None
            }
        }
    }

    /// Expressions come from the operator, not from a request; this finds slips of the pen.
    fn expression(&mut self, sql: &str) {
        if sql.trim().is_empty() || sql.contains(';') || sql.contains("--") {
            self.reject(format!("{sql:?} is not an expression"));
        }
    }
}
