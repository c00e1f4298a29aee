//! What can be exported: datasets and their columns, read from presets.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use serde::Deserialize;

use crate::column_type::{ColumnType, Kind, is_snake_case};

/// The preset for the tables of the OpenTelemetry Collector's ClickHouse exporter.
pub const OTEL_PRESET: &str = include_str!("../../../config/datasets/otel.toml");

/// The preset for the tables of the `TelemetryFlow` platform.
pub const TELEMETRYFLOW_PRESET: &str = include_str!("../../../config/datasets/telemetryflow.toml");

/// Every dataset that can be exported, by name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    datasets: BTreeMap<String, Arc<Dataset>>,
}

/// Something that can be exported: rows of one or several tables, in time order.
#[derive(Debug)]
pub(crate) struct Dataset {
    /// The tables, quoted; their rows are taken together.
    pub(crate) tables: Vec<String>,
    /// The expression of the time that rows are selected and ordered by.
    pub(crate) time: String,
    /// The expression of the same time in whole seconds, where the primary key has that.
    pub(crate) coarse_time: Option<String>,
    /// The expression of the organization that a row belongs to.
    pub(crate) tenant: String,
    /// The expressions that order rows of the same time.
    pub(crate) order_by: Vec<String>,
    columns: Vec<Column>,
}

/// A column of a dataset.
#[derive(Debug)]
pub(crate) struct Column {
    /// The public name.
    pub(crate) name: String,
    /// The type of the export.
    pub(crate) column_type: ColumnType,
    /// Whether a filter can name it.
    pub(crate) filterable: bool,
    /// The expression in each of the tables.
    sql: OneOrMany,
}

impl Dataset {
    /// Returns the columns in the order of the preset.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the column of that name and its index.
    pub(crate) fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns
            .iter()
            .enumerate()
            .find(|(_, column)| column.name == name)
    }

    /// Returns the schema of a file with these columns.
    pub(crate) fn schema(&self, columns: &[usize]) -> SchemaRef {
        let field = |index: &usize| {
            let column = &self.columns[*index];
            column.column_type.field(&column.name)
        };
        Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
    }
}

impl Column {
    /// Returns the expression in the table of that index.
    pub(crate) fn sql(&self, table: usize) -> &str {
        match &self.sql {
            OneOrMany::One(sql) => sql,
            OneOrMany::Many(each) => &each[table],
        }
    }
}

/// A preset that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the datasets are wrong: {}", .0.join("; "))]
pub struct CatalogueError(
    /// Everything that is wrong, each with the place.
    pub Vec<String>,
);

impl Catalogue {
    /// Reads presets, each a name (for messages) and its TOML text.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn load(presets: &[(&str, &str)]) -> Result<Self, CatalogueError> {
        let mut datasets = BTreeMap::new();
        let mut errors = Vec::new();
        for (preset, text) in presets {
            let raw = match toml::from_str::<BTreeMap<String, RawDataset>>(text) {
                Ok(raw) => raw,
                Err(error) => {
                    errors.push(format!("{preset}: {error}"));
                    continue;
                }
            };
            for (name, raw) in raw {
                let mut checker = Checker {
                    place: format!("{preset}, {name}"),
                    errors: &mut errors,
                };
                let dataset = checker.dataset(&name, raw);
                if datasets.insert(name, Arc::new(dataset)).is_some() {
                    checker.reject("is defined in another preset, too");
                }
            }
        }
        if datasets.is_empty() && errors.is_empty() {
            errors.push("there is no dataset".to_owned());
        }
        if errors.is_empty() {
            Ok(Self { datasets })
        } else {
            Err(CatalogueError(errors))
        }
    }

    /// Returns the dataset of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Dataset>> {
        self.datasets.get(name)
    }

    /// Returns the names of all datasets, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.datasets.keys().map(String::as_str)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDataset {
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

struct Checker<'a> {
    place: String,
    errors: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn reject(&mut self, detail: impl AsRef<str>) {
        self.errors.push(format!("{}: {}", self.place, detail.as_ref()));
    }

    fn dataset(&mut self, name: &str, raw: RawDataset) -> Dataset {
        if domain::DataType::parse(name).is_none() {
            self.reject("the name must be lower-case letters, digits and underscores");
        }
        let tables: Vec<_> = raw.table.as_slice().iter().map(|table| self.table(table)).collect();
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
        let RawColumn { name, column_type, sql, filter } = raw;
        if !is_snake_case(&name) {
            self.reject(format!("the column {name:?} must be named in snake case"));
        }
        let sql = sql.unwrap_or_else(|| OneOrMany::One(name.clone()));
        if matches!(&sql, OneOrMany::Many(each) if each.len() != tables) {
            self.reject(format!("the column {name:?} needs one expression for each table"));
        }
        for expression in sql.as_slice() {
            self.expression(expression);
        }
        match ColumnType::parse(&column_type) {
            Ok(column_type) => Some(Column {
                name,
                filterable: filter && !matches!(column_type.kind, Kind::List(_) | Kind::Struct(_)),
                column_type,
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

#[cfg(test)]
mod tests {
    use super::{Catalogue, OTEL_PRESET, TELEMETRYFLOW_PRESET};

    #[test]
    fn the_presets_that_ship_are_right() {
        let otel = Catalogue::load(&[("otel", OTEL_PRESET)]).unwrap();
        assert_eq!(
            otel.names().collect::<Vec<_>>(),
            [
                "logs",
                "metrics",
                "metrics_exponential_histogram",
                "metrics_histogram",
                "metrics_summary",
                "traces"
            ]
        );
        let telemetryflow = Catalogue::load(&[("telemetryflow", TELEMETRYFLOW_PRESET)]).unwrap();
        assert_eq!(telemetryflow.names().collect::<Vec<_>>(), ["logs", "metrics", "traces"]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let preset = r#"
            [Logs]
            table = ["logs`", "more"]
            time = ""
            tenant = "organization_id; DROP TABLE x"
            order_by = []
            columns = [
                { name = "Body", type = "string" },
                { name = "n", type = "integer" },
                { name = "n", type = "int8", sql = ["1", "2", "3"] },
            ]
        "#;
        let error = Catalogue::load(&[("mine", preset), ("other", "[logs]")]).unwrap_err();
        let [first @ .., syntax] = &error.0[..] else {
            panic!("errors")
        };
        insta::assert_snapshot!(first.join("\n"), @r#"
        mine, Logs: the name must be lower-case letters, digits and underscores
        mine, Logs: "logs`" is not the name of a table
        mine, Logs: "" is not an expression
        mine, Logs: "organization_id; DROP TABLE x" is not an expression
        mine, Logs: the column "Body" must be named in snake case
        mine, Logs: the type of the column "n" has the unknown type "integer"; known are string, enum, uuid, ipv4, ipv6, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, date, timestamp, map, list and struct
        mine, Logs: the column "n" needs one expression for each table
    "#);
        assert!(syntax.starts_with("other: ") && syntax.contains("missing field"), "{syntax}");
    }

    #[test]
    fn a_dataset_has_one_definition() {
        let error = Catalogue::load(&[("otel", OTEL_PRESET), ("telemetryflow", TELEMETRYFLOW_PRESET)])
            .unwrap_err();
        assert_eq!(error.0.len(), 3);
        assert_eq!(error.0[0], "telemetryflow, logs: is defined in another preset, too");
    }
}
