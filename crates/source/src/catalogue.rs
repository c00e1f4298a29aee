//! What can be exported: datasets and their columns, as a preset and the server have them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::column_type::ColumnType;
use crate::key_bounds::KeyBound;
use crate::preset::{Preset, PresetError};

/// Every dataset of a preset, as far as the server has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    /// By name; where there is none, why.
    datasets: BTreeMap<String, Result<Arc<Dataset>, String>>,
    lacks: Vec<Lack>,
}

/// Something that a preset expects and the server does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The dataset.
    pub dataset: String,
    /// A table or a column, and where it is looked for.
    pub what: String,
}

/// Something that can be exported: rows of one or several tables, in time order.
#[derive(Debug, PartialEq)]
pub(crate) struct Dataset {
    /// What people call it.
    pub(crate) title: Option<String>,
    /// What it is, in a sentence.
    pub(crate) description: Option<String>,
    /// The tables; their rows are taken together.
    pub(crate) tables: Vec<Table>,
    /// The columns in the order of the preset.
    pub(crate) columns: Vec<Column>,
}

/// A table of a dataset. Its expressions are SQL over its columns.
#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    /// What stands behind FROM.
    pub(crate) from: String,
    /// Whether its rows stand in parts, which have virtual columns that tell where.
    pub(crate) has_parts: bool,
    /// Whether EXPLAIN ESTIMATE can tell how many of its rows a query looks at.
    pub(crate) has_estimates: bool,
    /// The time that rows are selected and ordered by.
    pub(crate) time: String,
    /// The digits behind the seconds in which it is compared: in more, times far from now overflow.
    pub(crate) time_scale: u8,
    /// The organization that a row belongs to.
    pub(crate) tenant: String,
    /// What orders rows of the same time.
    pub(crate) order_by: Vec<OrderKey>,
    /// What a window of time says about the keys.
    pub(crate) bounds: Vec<KeyBound>,
}

/// What rows are ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderKey {
    pub(crate) sql: String,
    /// What ClickHouse sorts by.
    pub(crate) sorted_by: String,
}

/// A column of a dataset.
#[derive(Debug, PartialEq)]
pub(crate) struct Column {
    /// The public name.
    pub(crate) name: String,
    /// The type of the export.
    pub(crate) value_type: ColumnType,
    /// Whether a filter can name it.
    pub(crate) filterable: bool,
    /// Where it comes from in each of the tables.
    pub(crate) sources: Vec<Source>,
}

/// Where a column comes from in one table.
#[derive(Debug, PartialEq)]
pub(crate) struct Source {
    /// The expression.
    pub(crate) sql: String,
    /// The expression of a value that the reader knows.
    pub(crate) selected: String,
    /// The expression that a filter compares.
    pub(crate) compared: String,
    /// Whether it is a JSON column, whose paths are the keys.
    pub(crate) is_json: bool,
}

impl Dataset {
    /// Returns the column of that name and its index.
    pub(crate) fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns
            .iter()
            .enumerate()
            .find(|(_, column)| column.name == name)
    }

    /// Returns how many expressions order rows of the same time.
    pub(crate) fn order_keys(&self) -> usize {
        self.tables.first().map_or(0, |table| table.order_by.len())
    }

    /// Tells whether a column is what rows are ordered by, in all tables: number 0 is the time.
    pub(crate) fn is_order_key(&self, column: &Column, number: usize) -> bool {
        let mut tables = column.sources.iter().zip(&self.tables);
        tables.all(|(source, table)| match number.checked_sub(1) {
            None => source.sql == table.time,
            Some(number) => (table.order_by.get(number)).is_some_and(|key| key.sql == source.sql),
        })
    }
}

impl Catalogue {
    pub(crate) fn new(
        datasets: BTreeMap<String, Result<Arc<Dataset>, String>>,
        lacks: Vec<Lack>,
    ) -> Self {
        Self { datasets, lacks }
    }

    /// Reads presets, each a name (for messages) and its TOML text, and takes the server to have all
    /// that is in them.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn load(presets: &[(&str, &str)]) -> Result<Self, PresetError> {
        Ok(Preset::load(presets)?.assumed())
    }

    /// Returns what the preset expects and the server does not have.
    pub fn lacks(&self) -> &[Lack] {
        &self.lacks
    }

    /// Returns the datasets that are there with their names, sorted.
    pub(crate) fn datasets(&self) -> impl Iterator<Item = (&str, &Arc<Dataset>)> {
        self.datasets
            .iter()
            .filter_map(|(name, dataset)| Some((name.as_str(), dataset.as_ref().ok()?)))
    }

    /// Returns the dataset of that name.
    ///
    /// # Errors
    ///
    /// Why there is none, for the person who asked.
    pub(crate) fn find(&self, name: &str) -> Result<&Arc<Dataset>, String> {
        let names: Vec<_> = self.datasets().map(|(name, _)| name).collect();
        let names = match &names[..] {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        match self.datasets.get(name) {
            None => Err(format!("is unknown; known are {names}")),
            Some(Err(reason)) => Err(format!("is not available: {reason}; available are {names}")),
            Some(Ok(dataset)) => Ok(dataset),
        }
    }
}
