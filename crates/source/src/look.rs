//! Asking the server which tables it has, and what is in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;

use crate::client::ClickHouse;
use crate::definition::{Definition, TableName};
use crate::error::SourceError;
use crate::expression::{Alternatives, MapKey, is_name};
use crate::key_bounds::KeyColumn;
use crate::preset::Preset;
use crate::seen::{Seen, SeenTable, stored_in};
use crate::server_type::ServerType;
use crate::sql::{self, Statement};

/// A row of `system.tables`: database, name, engine, its arguments, sorting key, partition key.
pub(crate) type TableRow = (String, String, String, String, String, String);

/// A row of `system.columns`: database, table, name, type, kind of default, its expression.
pub(crate) type ColumnRow = (String, String, String, String, String, String);

/// The full name of a table.
type FullName = (String, String);

/// What the server says of its tables.
#[derive(Default)]
struct Described {
    tables: HashMap<FullName, TableRow>,
    columns: HashMap<FullName, Vec<KeyColumn>>,
}

/// The answer to a query for no rows, of which only the types are read.
#[derive(Deserialize)]
struct Header {
    meta: Vec<HeaderColumn>,
}

#[derive(Deserialize)]
struct HeaderColumn {
    #[serde(rename = "type")]
    column_type: String,
}

impl ClickHouse {
    /// Asks which of a preset's tables there are, and what is in them.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub(crate) async fn look(&self, preset: &Preset) -> Result<Seen, SourceError> {
        let definitions = &preset.definitions;
        let names = definitions.iter().flat_map(|it| it.tables.iter().flatten());
        let full: BTreeSet<_> = names.clone().map(|name| self.full_name(name)).collect();
        let mut described = self.describe(&full).await?;
        let elsewhere = described.tables.values().filter_map(stored);
        let elsewhere: BTreeSet<_> = elsewhere.filter(|name| !full.contains(name)).collect();
        if !elsewhere.is_empty() {
            let more = self.describe(&elsewhere).await?;
            described.tables.extend(more.tables);
            described.columns.extend(more.columns);
        }
        let mut seen = Seen::new();
        for name in names {
            if seen.contains_key(name) {
                continue;
            }
            if let Some(mut table) = described.table(&self.full_name(name)) {
                let expressions = expressions(name, definitions);
                self.add_types(name, expressions, &mut table).await?;
                seen.insert(name.clone(), table);
            }
        }
        Ok(seen)
    }

    fn full_name(&self, name: &TableName) -> FullName {
        let database = name.database.as_ref().unwrap_or(&self.config.database);
        (database.clone(), name.table.clone())
    }

    async fn describe(&self, names: &BTreeSet<FullName>) -> Result<Described, SourceError> {
        let mut by_database: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (database, table) in names {
            by_database.entry(database).or_default().push(table);
        }
        let mut described = Described::default();
        for (database, tables) in by_database {
            let rows: Vec<TableRow> = self.ask_for(sql::tables(database, &tables)).await?;
            let rows = rows.into_iter();
            let by_name = rows.map(|row| ((row.0.clone(), row.1.clone()), row));
            described.tables.extend(by_name);
            let rows: Vec<ColumnRow> = self.ask_for(sql::columns(database, &tables)).await?;
            for (database, table, name, column_type, default_kind, default_expression) in rows {
                let columns = described.columns.entry((database, table)).or_default();
                columns.push(KeyColumn {
                    name,
                    column_type,
                    default_kind,
                    default_expression,
                });
            }
        }
        Ok(described)
    }

    /// Asks for rows of the server's own tables; a database that is not there has none.
    async fn ask_for<R>(&self, statement: Statement) -> Result<Vec<R>, SourceError>
    where
        R: clickhouse::RowOwned + clickhouse::RowRead,
    {
        match self.fetch_all(statement).await {
            Err(SourceError::Engine(exception)) if exception.is_unknown_name() => Ok(Vec::new()),
            rows => rows,
        }
    }

    /// Finds the types of expressions: of columns by their names, of others by asking for no rows.
    async fn add_types(
        &self,
        name: &TableName,
        expressions: BTreeSet<&str>,
        table: &mut SeenTable,
    ) -> Result<(), SourceError> {
        let (names, others): (Vec<_>, Vec<_>) =
            expressions.into_iter().partition(|sql| is_name(sql));
        table
            .types
            .retain(|column, _| names.contains(&column.as_str()));
        let from = name.to_string();
        if let Some(types) = self.types(&from, &others).await? {
            let typed = others.iter().map(|sql| (*sql).to_owned()).zip(types);
            table.types.extend(typed);
            return Ok(());
        }
        for sql in others {
            if let Some([server]) = self.types(&from, &[sql]).await?.as_deref() {
                table.types.insert(sql.to_owned(), server.clone());
            }
        }
        Ok(())
    }

    /// Returns the types of some expressions over a table, or nothing where it does not have all.
    async fn types(
        &self,
        from: &str,
        expressions: &[&str],
    ) -> Result<Option<Vec<ServerType>>, SourceError> {
        if expressions.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let answer = self.fetch_json(sql::header(from, expressions)).await;
        let header: Header = match answer {
            Err(SourceError::Engine(exception)) if exception.refuses_expression() => {
                return Ok(None);
            }
            answer => answer?,
        };
        let types = header.meta.iter();
        let types: Vec<_> = types.map(|it| ServerType::parse(&it.column_type)).collect();
        Ok((types.len() == expressions.len()).then_some(types))
    }
}

impl Described {
    fn table(&self, name: &FullName) -> Option<SeenTable> {
        let columns = self.columns.get(name)?;
        let row = self.tables.get(name);
        let elsewhere = row.and_then(stored);
        let holder = elsewhere.as_ref().and_then(|name| self.tables.get(name));
        let (_, _, engine, _, sorting_key, partition_key) =
            holder.or(row).cloned().unwrap_or_default();
        let key_columns = match &elsewhere {
            Some(name) => self.columns.get(name).unwrap_or(columns),
            None => columns,
        };
        let types = columns.iter().map(|column| {
            let server = ServerType::parse(&column.column_type);
            (column.name.clone(), server)
        });
        Some(SeenTable {
            engine,
            is_elsewhere: elsewhere.is_some(),
            sorting_key,
            partition_key,
            key_columns: key_columns.clone(),
            types: types.collect(),
        })
    }
}

fn stored(row: &TableRow) -> Option<FullName> {
    let (_, _, engine, engine_full, ..) = row;
    stored_in(engine, engine_full)
}

/// Returns the expressions that the datasets of a table name.
fn expressions<'a>(name: &TableName, definitions: &'a [Definition]) -> BTreeSet<&'a str> {
    let mut all = BTreeSet::new();
    for definition in definitions {
        for (slot, _) in (definition.tables.iter().enumerate()).filter(|it| it.1.contains(name)) {
            all.extend(definition.time.iter());
            all.extend(definition.order_by.iter().flat_map(Alternatives::iter));
            let columns = definition.columns.iter();
            all.extend(columns.flat_map(|it| it.sql[slot].iter()));
            all.extend(
                definition
                    .tenant
                    .iter()
                    .map(|sql| match MapKey::parse(sql) {
                        Some(key) => key.column,
                        None => sql,
                    }),
            );
        }
    }
    all
}
