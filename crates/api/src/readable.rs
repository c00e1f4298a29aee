//! Rows of a list: one that cannot be read is told of in the log, and does not hide the others.

use std::error::Error;

use store::StoreError;
use tracing::error;

/// Returns what was read of a row, if it could be.
pub(crate) fn readable<T>(row: &Result<T, StoreError>) -> Option<&T> {
    row.as_ref()
        .inspect_err(|error| error!(error = *error as &dyn Error, "left out of a list"))
        .ok()
}
