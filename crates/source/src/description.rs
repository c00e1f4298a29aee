//! What can be exported, for those who choose from it: nothing of tables and expressions.

use domain::{Narrowing, Op};

use crate::catalogue::{Catalogue, Column, Dataset};
use crate::column_type::Kind;
use crate::predicate;

/// A dataset of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetDescription<'a> {
    /// The name in requests.
    pub name: &'a str,
    /// What people call it.
    pub title: Option<&'a str>,
    /// What it is, in a sentence.
    pub description: Option<&'a str>,
    /// The columns, in the order that a file has by default.
    pub columns: Vec<ColumnDescription<'a>>,
}

/// A column of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDescription<'a> {
    /// The public name.
    pub name: &'a str,
    /// The type, as a preset writes it but for the question mark.
    pub value_type: String,
    /// Whether there can be NULL in place of a value.
    pub nullable: bool,
    /// Whether it is a map, of which filters name a key.
    pub has_keys: bool,
    /// The operators that a filter on it can have; none if there can be no filter on it.
    pub operators: &'static [Op],
}

impl Catalogue {
    /// Returns all datasets, in the order of their names.
    pub fn describe(&self) -> impl Iterator<Item = DatasetDescription<'_>> {
        self.datasets()
            .map(|(name, dataset)| dataset.describe(name))
    }

    /// Tells whether the rows of a dataset can be narrowed; whoever must not see all of them sees none
    /// otherwise.
    pub fn narrows(&self, dataset: &str, narrowed_to: &Narrowing) -> bool {
        self.find(dataset)
            .is_ok_and(|dataset| predicate::narrow(dataset, narrowed_to).is_ok())
    }
}

impl Dataset {
    fn describe<'a>(&'a self, name: &'a str) -> DatasetDescription<'a> {
        DatasetDescription {
            name,
            title: self.title.as_deref(),
            description: self.description.as_deref(),
            columns: self.columns.iter().map(Column::describe).collect(),
        }
    }
}

impl Column {
    fn describe(&self) -> ColumnDescription<'_> {
        ColumnDescription {
            name: &self.name,
            value_type: self.value_type.kind.to_string(),
            nullable: self.value_type.nullable,
            has_keys: matches!(self.value_type.kind, Kind::Map | Kind::JsonMap),
            operators: predicate::operators(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{ExportRequest, Narrowing, OrganizationId, RequestLimits};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{ColumnDescription, DatasetDescription};
    use crate::catalogue::Catalogue;
    use crate::preset::{OTEL_PRESET, TELEMETRYFLOW_PRESET};

    /// A value that a filter on the column takes.
    fn value(column: &ColumnDescription<'_>, op: &str) -> Value {
        let one = match (op, &*column.value_type) {
            ("exists", _) | (_, "bool") => json!(true),
            (_, "timestamp") => json!("2026-01-01T00:00:00Z"),
            (_, "uuid") => json!(Uuid::nil()),
            (_, "string" | "enum" | "map<string, string>") => json!("1"),
            _ => json!(1),
        };
        match op {
            "in" | "not_in" => json!([one]),
            // Keys of maps compare as numbers with numbers.
            "gt" | "gte" | "lt" | "lte" if column.has_keys => json!(1),
            _ => one,
        }
    }

    /// Says whether the catalogue takes a filter.
    fn takes(catalogue: &Catalogue, dataset: &str, field: &str, op: &str, value: &Value) -> bool {
        let body = json!({
            "data_type": dataset, "format": "csv",
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
            "filters": { "all": [{ "field": field, "op": op, "value": value }] },
        });
        let request = ExportRequest::parse(&body, &RequestLimits::NONE).unwrap();
        let organization = OrganizationId::from(Uuid::nil());
        catalogue
            .resolve(&request, organization, &Narrowing::default())
            .is_ok()
    }

    #[test]
    fn filters_can_be_what_is_said() {
        let mut filters = 0;
        for preset in [OTEL_PRESET, TELEMETRYFLOW_PRESET] {
            let catalogue = Catalogue::load(&[("preset", preset)]).unwrap();
            for DatasetDescription { name, columns, .. } in catalogue.describe() {
                for column in columns {
                    let key = if column.has_keys { ".key" } else { "" };
                    let field = format!("{}{key}", column.name);
                    for op in domain::Op::ALL {
                        let is_said = column.operators.contains(op);
                        let value = value(&column, op.as_str());
                        let is_taken = takes(&catalogue, name, &field, op.as_str(), &value);
                        assert_eq!(is_said, is_taken, "{name}: {field} {op} {value}");
                        filters += usize::from(is_taken);
                    }
                }
            }
        }
        assert!(filters > 1_000, "{filters}");
    }

    #[test]
    fn a_column_says_what_it_is() {
        let preset = r#"
            [logs]
            title = "Logs"
            table = "logs"
            time = "t"
            tenant = "o"
            order_by = []
            columns = [
                { name = "id", type = "uuid?" },
                { name = "secret", type = "string", filter = false },
                { name = "links", type = "list<struct<name: string?, at: timestamp>>" },
            ]
        "#;
        let catalogue = Catalogue::load(&[("mine", preset)]).unwrap();
        let logs = catalogue.describe().next().unwrap();
        assert_eq!(
            (logs.name, logs.title, logs.description),
            ("logs", Some("Logs"), None)
        );
        let columns = logs.columns.iter().map(|column| {
            let operators = column.operators.len();
            (column.name, &*column.value_type, column.nullable, operators)
        });
        assert_eq!(
            columns.collect::<Vec<_>>(),
            [
                ("id", "uuid", true, 5),
                ("secret", "string", false, 0),
                (
                    "links",
                    "list<struct<name: string?, at: timestamp>>",
                    false,
                    0
                ),
            ]
        );
    }
}
