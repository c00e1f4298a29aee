//! What makes somebody see fewer rows than all of an organization's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Fields of datasets, each with the only value that rows may have in it; none for all rows of the
/// organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Narrowing(BTreeMap<String, String>);

impl Narrowing {
    /// Returns the fields with their values, in the order of their names.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(field, value)| (field.as_str(), value.as_str()))
    }

    /// Tells whether all rows of the organization are meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Narrowing {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}
