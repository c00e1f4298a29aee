//! What the server has of a preset's tables.

use std::collections::HashMap;

use crate::definition::TableName;
use crate::key_bounds::KeyColumn;
use crate::server_type::{ServerType, split_list};

/// The tables that are there.
pub(crate) type Seen = HashMap<TableName, SeenTable>;

/// A table that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenTable {
    /// Such as `ReplicatedReplacingMergeTree`; of the table that holds the rows, if it is known.
    pub(crate) engine: String,
    /// Whether the rows are in another table.
    pub(crate) is_elsewhere: bool,
    /// Of the table that holds the rows, as are the columns.
    pub(crate) sorting_key: String,
    pub(crate) partition_key: String,
    pub(crate) key_columns: Vec<KeyColumn>,
    /// The types of those expressions of the preset that can be had, each as the server writes it.
    pub(crate) types: HashMap<String, ServerType>,
}

impl SeenTable {
    /// Tells whether rows stand in parts of this very table.
    pub(crate) fn has_parts(&self) -> bool {
        !self.is_elsewhere && self.is_merge_tree()
    }

    /// Tells whether EXPLAIN ESTIMATE tells anything.
    pub(crate) fn has_estimates(&self) -> bool {
        self.has_parts() || self.engine == "View"
    }

    /// Tells whether the engine replaces, adds up or removes rows when it merges them.
    pub(crate) fn has_final(&self) -> bool {
        match self.engine.as_str() {
            "View" | "Merge" => true,
            engine => {
                let kind = engine.strip_suffix("MergeTree").unwrap_or("");
                !matches!(kind, "" | "Replicated" | "Shared")
            }
        }
    }

    fn is_merge_tree(&self) -> bool {
        self.engine.ends_with("MergeTree")
    }
}

/// Returns the database and the table that an engine's arguments name, such as those of
/// `Distributed('cluster', 'database', 'table')`.
pub(crate) fn stored_in(engine: &str, engine_full: &str) -> Option<(String, String)> {
    let first = match engine {
        "Distributed" => 1,
        "Buffer" => 0,
        _ => return None,
    };
    let arguments = engine_full.strip_prefix(engine)?.strip_prefix('(')?;
    let (arguments, _) = arguments.rsplit_once(')')?;
    let arguments = split_list(arguments);
    let text = |argument: &str| {
        let text = argument.strip_prefix('\'')?.strip_suffix('\'')?;
        Some(text.replace("\\'", "'").replace("\\\\", "\\"))
    };
    let named = |index: usize| arguments.get(index).and_then(|argument| text(argument));
    Some((named(first)?, named(first + 1)?))
}

#[cfg(test)]
mod tests {
    use super::{SeenTable, stored_in};

    #[test]
    fn the_table_that_holds_the_rows_is_named_by_the_engine() {
        let named = |engine: &str, full: &str| stored_in(engine, full);
        let local = Some(("otel".to_owned(), "logs_local".to_owned()));
        let full = "Distributed('a cluster', 'otel', 'logs_local', cityHash64(TraceId, ')'))";
        assert_eq!(named("Distributed", full), local);
        let full = "Buffer('otel', 'logs_local', 16, 10, 100, 10000, 1000000, 10000000, 100000000)";
        assert_eq!(named("Buffer", full), local);
        assert_eq!(
            named("Distributed", "Distributed('c', currentDatabase(), 't')"),
            None
        );
        assert_eq!(named("Merge", "Merge('otel', '^logs')"), None);
    }

    #[test]
    fn what_can_be_asked_depends_on_the_engine() {
        let table = |engine: &str| SeenTable {
            engine: engine.to_owned(),
            ..SeenTable::default()
        };
        for (engine, has_parts, has_estimates, has_final) in [
            ("MergeTree", true, true, false),
            ("ReplicatedMergeTree", true, true, false),
            ("SharedMergeTree", true, true, false),
            ("ReplacingMergeTree", true, true, true),
            ("ReplicatedCollapsingMergeTree", true, true, true),
            ("View", false, true, true),
            ("Merge", false, false, true),
            ("MaterializedView", false, false, false),
            ("Distributed", false, false, false),
            ("Memory", false, false, false),
        ] {
            let table = table(engine);
            assert_eq!(table.has_parts(), has_parts, "{engine}");
            assert_eq!(table.has_estimates(), has_estimates, "{engine}");
            assert_eq!(table.has_final(), has_final, "{engine}");
        }
    }
}
