//! Datasets as the TOML text of a preset defines them, checked with everything that is wrong at
//! once.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::column_type::{ColumnType, Kind, is_snake_case};
use crate::expression::Alternatives;

/// What a dataset may have.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    /// The tables whose rows are taken together, each the first of these that is there.
    pub(crate) tables: Vec<Vec<TableName>>,
    pub(crate) time: Alternatives,
    pub(crate) tenant: Alternatives,
    pub(crate) order_by: Vec<Alternatives>,
    /// Whether rows that the engine has yet to merge are merged when they are read.
    pub(crate) is_final: bool,
    /// In the order of the file. Several can have one name; the first that the tables have is taken.
    pub(crate) columns: Vec<ColumnDefinition>,
}

/// A column that a dataset may have.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: String,
    pub(crate) value_type: ColumnType,
    pub(crate) is_filterable: bool,
    /// For each of the tables.
    pub(crate) sql: Vec<Alternatives>,
}

/// The name of a table, of the configured database or of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableName {
    pub(crate) database: Option<String>,
    pub(crate) table: String,
}

/// As SQL.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(database) = &self.database {
            write!(f, "`{database}`.")?;
        }
        write!(f, "`{}`", self.table)
    }
}

/// Reads the datasets of a preset; what is wrong with them is added to `errors`.
pub(crate) fn read(preset: &str, text: &str, errors: &mut Vec<String>) -> Vec<Definition> {
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
            checker.dataset(name, raw)
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
    #[serde(default, rename = "final")]
    is_final: bool,
    time: String,
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

    fn dataset(&mut self, name: String, raw: RawDataset) -> Definition {
        if domain::DataType::parse(&name).is_none() {
            self.reject("the name must be lower-case letters, digits and underscores");
        }
        let tables = match raw.table {
            OneOrMany::One(table) => vec![table],
            OneOrMany::Many(tables) => tables,
        };
        let tables: Vec<Vec<_>> = tables
            .iter()
            .map(|table| {
                let names = Alternatives::parse(table);
                names.iter().map(|name| self.table(name)).collect()
            })
            .collect();
        if tables.is_empty() {
            self.reject("has no table");
        }
        if raw.columns.is_empty() {
            self.reject("has no columns");
        }
        let time = self.expression(&raw.time);
        let tenant = self.expression(&raw.tenant);
        let order_by = raw.order_by.iter().map(|sql| self.expression(sql));
        let order_by = order_by.collect();
        let mut columns: Vec<ColumnDefinition> = Vec::with_capacity(raw.columns.len());
        for column in raw.columns {
            let Some(column) = self.column(column, tables.len()) else {
                continue;
            };
            let is_same = |other: &ColumnDefinition| {
                other.name == column.name && other.value_type == column.value_type
            };
            if columns.iter().any(is_same) {
                self.reject(format!(
                    "the column {:?} is there twice with the same type",
                    column.name
                ));
            }
            columns.push(column);
        }
        Definition {
            name,
            title: raw.title,
            description: raw.description,
            tables,
            time,
            tenant,
            order_by,
            is_final: raw.is_final,
            columns,
        }
    }

    /// Reads `table` or `database.table`.
    fn table(&mut self, name: &str) -> TableName {
        let parts: Vec<_> = name.split('.').collect();
        let is_valid = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if parts.len() > 2 || !parts.iter().all(is_valid) {
            self.reject(format!("{name:?} is not the name of a table"));
        }
        let (database, table) = match name.split_once('.') {
            Some((database, table)) => (Some(database.to_owned()), table),
            None => (None, name),
        };
        TableName {
            database,
            table: table.to_owned(),
        }
    }

    fn column(&mut self, raw: RawColumn, tables: usize) -> Option<ColumnDefinition> {
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
            None => vec![Alternatives::parse(&name); tables],
            Some(OneOrMany::One(sql)) => vec![self.expression(&sql); tables],
            Some(OneOrMany::Many(each)) => each.iter().map(|sql| self.expression(sql)).collect(),
        };
        if sql.len() != tables {
            self.reject(format!(
                "the column {name:?} needs one expression for each table"
            ));
        }
        match ColumnType::parse(&column_type) {
            Ok(value_type) => Some(ColumnDefinition {
                name,
                is_filterable: filter
                    && !matches!(value_type.kind, Kind::List(_) | Kind::Struct(_)),
                value_type,
                sql,
            }),
            Err(detail) => {
                self.reject(format!("the type of the column {name:?} {detail}"));
                None
            }
        }
    }

    /// Expressions come from the operator, not from a request; this finds slips of the pen.
    fn expression(&mut self, sql: &str) -> Alternatives {
        let alternatives = Alternatives::parse(sql);
        for one in alternatives.iter() {
            if one.is_empty() || one.contains(';') || one.contains("--") {
                self.reject(format!("{one:?} is not an expression"));
            }
        }
        alternatives
    }
}
