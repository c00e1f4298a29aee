//! What can be exported: datasets and their columns, read from presets.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use crate::column_type::ColumnType;
use crate::definition;

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
    /// What people call it.
    pub(crate) title: Option<String>,
    /// What it is, in a sentence.
    pub(crate) description: Option<String>,
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
    /// The columns in the order of the preset.
    pub(crate) columns: Vec<Column>,
}

/// A column of a dataset.
#[derive(Debug)]
pub(crate) struct Column {
    /// The public name.
    pub(crate) name: String,
    /// The type of the export.
    pub(crate) value_type: ColumnType,
    /// Whether a filter can name it.
    pub(crate) filterable: bool,
    /// The expression in each of the tables.
    pub(crate) sql: Vec<String>,
}

impl Dataset {
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
            column.value_type.field(&column.name)
        };
        Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
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
            for (name, dataset) in definition::read(preset, text, &mut errors) {
                if datasets.contains_key(&name) {
                    errors.push(format!("{preset}, {name}: is in another preset, too"));
                }
                datasets.insert(name, Arc::new(dataset));
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

    /// Returns all datasets with their names, sorted.
    pub(crate) fn datasets(&self) -> impl Iterator<Item = (&str, &Dataset)> {
        let datasets = self.datasets.iter();
        datasets.map(|(name, dataset)| (name.as_str(), &**dataset))
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
        assert_eq!(
            telemetryflow.names().collect::<Vec<_>>(),
            ["logs", "metrics", "traces"]
        );
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
        assert!(
            syntax.starts_with("other: ") && syntax.contains("missing field"),
            "{syntax}"
        );
    }

    #[test]
    fn a_dataset_has_one_definition() {
        let error = Catalogue::load(&[
            ("otel", OTEL_PRESET),
            ("telemetryflow", TELEMETRYFLOW_PRESET),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 3);
        assert_eq!(error.0[0], "telemetryflow, logs: is in another preset, too");
    }
}
