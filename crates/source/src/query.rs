//! What a request means for a dataset: the columns, the rows and the organization of an export.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, TimeDelta};
use domain::{
    ExportRequest, FileColumn, Format, Narrowing, OrganizationId, Pointer, RowOrder, TimeRange,
    Violation,
};
use uuid::Uuid;

use crate::catalogue::{Catalogue, Dataset};
use crate::column_type::ColumnType;
use crate::predicate::{self, Predicate};
use crate::sort::SortKeys;
use crate::sql;

/// A request that fits a dataset.
#[derive(Clone)]
pub struct Query {
    pub(crate) dataset: Arc<Dataset>,
    /// Indices into the dataset's columns, in the order of the file.
    pub(crate) columns: Vec<usize>,
    pub(crate) predicate: Predicate,
    pub(crate) organization: OrganizationId,
    /// Which of the organization's rows can be seen.
    pub(crate) narrowing: Vec<Predicate>,
    pub(crate) order: RowOrder,
    /// Whether the values of JSON maps keep their types. Parquet has one type for all values of a map.
    has_json: bool,
    range: TimeRange,
    schema: SchemaRef,
}

impl Query {
    /// Asks for all columns of a dataset, of nobody's rows.
    pub(crate) fn of_nobody(dataset: &Arc<Dataset>) -> Option<Self> {
        let start = DateTime::UNIX_EPOCH;
        Some(Self {
            dataset: Arc::clone(dataset),
            columns: (0..dataset.columns.len()).collect(),
            predicate: Predicate::All(Vec::new()),
            organization: Uuid::nil().into(),
            narrowing: Vec::new(),
            order: RowOrder::Time,
            has_json: true,
            range: TimeRange::new(start, start + TimeDelta::seconds(1))?,
            schema: Arc::new(Schema::empty()),
        })
    }

    /// Returns the schema of the file.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Returns the columns of the file.
    pub fn columns(&self) -> Vec<FileColumn> {
        let columns = self.columns.iter().map(|index| {
            let value_type = value_type(&self.dataset, *index, self.has_json);
            FileColumn {
                name: self.dataset.columns[*index].name.clone(),
                value_type: value_type.kind.to_string(),
                nullable: value_type.nullable,
            }
        });
        columns.collect()
    }

    /// Returns the statement that reads all rows, with its parameters. It shows the values of
    /// filters: not for logs.
    pub fn text(&self) -> String {
        format!("{:?}", sql::rows(self, self.range))
    }

    /// Returns the text alone of the statement that reads all rows, in which nothing of a request is.
    pub fn sql(&self) -> String {
        sql::rows(self, self.range).sql
    }

    /// Returns what orders the rows, if they are to be in the order of time and all that it takes
    /// for that are columns of the dataset.
    pub(crate) fn sort_keys(&self) -> Option<SortKeys> {
        if self.order == RowOrder::Storage {
            return None;
        }
        let mut hidden = Vec::new();
        let mut places = Vec::new();
        for key in 0..=self.dataset.order_keys() {
            let mut columns = self.dataset.columns.iter();
            let column = columns.position(|column| self.dataset.is_order_key(column, key))?;
            let value_type = &self.dataset.columns[column].value_type;
            if places.is_empty() && *value_type != ColumnType::TIMESTAMP {
                return None;
            }
            let mut read = self.columns.iter().chain(&hidden);
            let place = read.position(|other| *other == column);
            places.push(place.unwrap_or_else(|| {
                hidden.push(column);
                self.columns.len() + hidden.len() - 1
            }));
        }
        Some(SortKeys { hidden, places })
    }

    /// Returns the schema of the file, with columns behind it that only order the rows.
    pub(crate) fn schema_with(&self, hidden: &[usize]) -> SchemaRef {
        let fields = self.schema.fields().iter().map(Arc::clone);
        let hidden = hidden.iter().enumerate().map(|(number, column)| {
            let value_type = value_type(&self.dataset, *column, self.has_json);
            value_type.field(&hidden_name(number))
        });
        Arc::new(Schema::new(fields.chain(hidden).collect::<Vec<_>>()))
    }

    /// Returns the window of the export.
    pub fn range(&self) -> TimeRange {
        self.range
    }
}

/// Returns the name of a column that is not in the file; no public one is such.
pub(crate) fn hidden_name(number: usize) -> String {
    format!("_k{number}")
}

impl Catalogue {
    /// Finds what a request names, for whoever sees an organization's rows as far as `narrowed_to` lets them.
    ///
    /// # Errors
    ///
    /// Everything in the request that does not fit: an unknown dataset, column or filter field, an
    /// operator that the field does not have, a value of the wrong type.
    pub fn resolve(
        &self,
        request: &ExportRequest,
        organization: OrganizationId,
        narrowed_to: &Narrowing,
    ) -> Result<Query, Vec<Violation>> {
        let dataset = self.find(request.data_type.as_str()).map_err(|detail| {
            let pointer = Pointer::root().child("data_type");
            vec![Violation::new(pointer, detail)]
        })?;
        let mut violations = Vec::new();
        let columns = match &request.columns {
            Some(names) => columns(dataset, names, &mut violations),
            None => (0..dataset.columns.len()).collect(),
        };
        let narrowing = predicate::narrow(dataset, narrowed_to).unwrap_or_else(|detail| {
            let pointer = Pointer::root().child("data_type");
            violations.push(Violation::new(pointer, detail));
            Vec::new()
        });
        let predicate = match &request.filters {
            Some(filters) => predicate::resolve(dataset, filters.expression(), &mut violations),
            None => Predicate::All(Vec::new()),
        };
        if !violations.is_empty() {
            return Err(violations);
        }
        let has_json = request.output.format() != Format::Parquet;
        let fields = columns.iter().map(|index| {
            let name = &dataset.columns[*index].name;
            value_type(dataset, *index, has_json).field(name)
        });
        Ok(Query {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            has_json,
            dataset: Arc::clone(dataset),
            columns,
            predicate,
            organization,
            narrowing,
            order: request.order,
            range: request.range,
        })
    }
}

/// Returns the type that a column has in the file.
fn value_type(dataset: &Dataset, column: usize, has_json: bool) -> Cow<'_, ColumnType> {
    let value_type = &dataset.columns[column].value_type;
    if has_json {
        Cow::Borrowed(value_type)
    } else {
        Cow::Owned(value_type.without_json())
    }
}

fn columns(dataset: &Dataset, names: &[String], violations: &mut Vec<Violation>) -> Vec<usize> {
    let at = Pointer::root().child("columns");
    let mut indices = Vec::with_capacity(names.len());
    for (position, name) in names.iter().enumerate() {
        if let Some((index, _)) = dataset.column(name) {
            indices.push(index);
        } else {
            let known: Vec<_> = dataset.columns.iter().map(|c| c.name.as_str()).collect();
            let detail = format!("is unknown; known are {}", known.join(", "));
            violations.push(Violation::new(at.child(position), detail));
        }
    }
    indices
}
