//! What a file holds, as it is known to the worker that writes it.

use serde::{Deserialize, Serialize};

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContents {
    /// The columns, in the order of the file.
    pub columns: Vec<FileColumn>,
    /// The version of the worker that writes it.
    pub service_version: String,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileColumn {
    /// The public name.
    pub name: String,
    /// The type, as a preset writes it but for the question mark.
    #[serde(rename = "type")]
    pub value_type: String,
    /// Whether there can be NULL in place of a value.
    pub nullable: bool,
}
