//! Where a file of an export ends and the next begins.

use serde_json::{Value, json};

use crate::members::{Members, one};
use crate::violation::{Pointer, Violation};

/// The option `split` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Each file but the last has so many rows.
    Rows(u64),
    /// No file has more bytes, compressed, unless a single block of rows has.
    Bytes(u64),
}

impl Split {
    /// The most files that an export may have: as many as somebody can look through in a list, and few enough
    /// to be removed in a moment.
    pub const MAX_FILES: u32 = 1_000;

    /// The fewest rows to ask for: at this size, as many files as there may be hold a million rows.
    pub const LEAST_ROWS: u64 = 1_000;

    /// The fewest bytes to ask for. Smaller files would be no easier to open, and blocks that fit into them
    /// compress badly.
    pub const LEAST_BYTES: u64 = 1024 * 1024;

    pub(crate) fn parse(value: &Value, at: &Pointer) -> Result<Self, Vec<Violation>> {
        let mut members = Members::of(value, at.clone())?;
        let rows = members.optional("max_rows", |value, at| {
            at_least(Self::LEAST_ROWS, value, at)
        });
        let bytes = members.optional("max_bytes", |value, at| {
            at_least(Self::LEAST_BYTES, value, at)
        });
        members.finish()?;
        match (rows, bytes) {
            (Some(rows), None) => Ok(Self::Rows(rows)),
            (None, Some(bytes)) => Ok(Self::Bytes(bytes)),
            _ => Err(one(at, "must have either max_rows or max_bytes")),
        }
    }

    /// Returns the option as it would be given.
    pub fn to_json(self) -> Value {
        match self {
            Self::Rows(rows) => json!({ "max_rows": rows }),
            Self::Bytes(bytes) => json!({ "max_bytes": bytes }),
        }
    }
}

fn at_least(least: u64, value: &Value, at: &Pointer) -> Result<u64, Vec<Violation>> {
    value
        .as_u64()
        .filter(|number| *number >= least)
        .ok_or_else(|| one(at, format!("must be a whole number of at least {least}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Split;
    use crate::violation::Pointer;

    fn parse(value: &Value) -> Result<Split, Vec<String>> {
        Split::parse(value, &Pointer::root().child("split"))
            .map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn it_reads_back() {
        for split in [Split::Rows(1_000), Split::Bytes(1 << 40)] {
            assert_eq!(parse(&split.to_json()), Ok(split));
        }
    }

    #[test]
    fn it_is_one_of_two_and_no_dwarf() {
        for (value, expected) in [
            (json!(1_000_000), "/split: must be an object"),
            (json!({}), "/split: must have either max_rows or max_bytes"),
            (
                json!({"max_rows": 1_000, "max_bytes": 1_048_576}),
                "/split: must have either max_rows or max_bytes",
            ),
            (
                json!({"max_rows": 999}),
                "/split/max_rows: must be a whole number of at least 1000",
            ),
            (
                json!({"max_rows": 1e6}),
                "/split/max_rows: must be a whole number of at least 1000",
            ),
            (
                json!({"max_bytes": -1}),
                "/split/max_bytes: must be a whole number of at least 1048576",
            ),
            (
                json!({"max_rows": 1_000, "rows": 1}),
                "/split/rows: is unknown; known are max_rows, max_bytes",
            ),
        ] {
            let violations = parse(&value).expect_err("it is wrong");
            assert_eq!(violations, [expected], "{value}");
        }
    }
}
