//! Which rows: the filter of an export, in both of its written forms.
//!
//! Only the shape is checked here. Whether a field exists and whether a value fits its type is
//! for the catalogue, which knows the columns.

mod parse;

use serde_json::{Number, Value};

use crate::closed_set::closed_set;
use crate::violation::{Pointer, Violation};

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every one holds; an empty list always does.
    All(Vec<Filter>),
    /// At least one holds; an empty list never does.
    Any(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A field compares with values.
    Compare(Comparison),
}

/// A field, an operator and the values on its right.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The public name of a column, or of a map column with `.` and a key behind it.
    pub field: String,
    /// The operator.
    pub op: Op,
    /// One value, or any number for [`Op::In`] and [`Op::NotIn`].
    pub values: Vec<Scalar>,
    /// Where the comparison stands in the request.
    pub pointer: Pointer,
}

/// A value that a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Text; also times, UUIDs, addresses and names of enums.
    Text(String),
    /// A number, kept as it was written.
    Number(Number),
    /// True or false.
    Bool(bool),
}

closed_set! {
    /// The operator of a comparison.
    Op {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// One of.
        In = "in",
        /// None of.
        NotIn = "not_in",
        /// Greater.
        Gt = "gt",
        /// Greater or equal.
        Gte = "gte",
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Lte = "lte",
        /// Holds the text.
        Contains = "contains",
        /// Holds the text, upper and lower case alike.
        IContains = "icontains",
        /// Begins with the text.
        StartsWith = "starts_with",
        /// Ends with the text.
        EndsWith = "ends_with",
        /// Matches the regular expression (RE2).
        Matches = "matches",
        /// Is there: a key in its map, a value that is not NULL. With `false`, is not there.
        Exists = "exists",
    }
}

/// How large a filter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// Comparisons in all.
    pub max_conditions: usize,
    /// Levels of `all`, `any` and `not`.
    pub max_depth: usize,
    /// Values of one `in` or `not_in`.
    pub max_values: usize,
    /// Bytes of one text value.
    pub max_value_bytes: usize,
}

/// The filter of a request: as it was posted, and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    posted: Value,
    expression: Filter,
}

impl Filters {
    /// Reads the `filters` member of a request, in either form: `{"field": value-or-list, …}`,
    /// or an expression of `all`, `any`, `not` and `{"field", "op", "value"}`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each with a pointer below `at`.
    pub fn parse(
        value: &Value,
        at: &Pointer,
        limits: &FilterLimits,
    ) -> Result<Self, Vec<Violation>> {
        Ok(Self {
            expression: parse::expression(value, at, limits)?,
            posted: value.clone(),
        })
    }

    /// Returns the filter as it stood in the request.
    pub fn as_posted(&self) -> &Value {
        &self.posted
    }

    /// Returns what it means.
    pub fn expression(&self) -> &Filter {
        &self.expression
    }
}
