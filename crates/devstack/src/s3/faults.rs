//! What the S3 server is told to do wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;

use super::Operation;

/// Whether the work is done before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    status: StatusCode,
    moment: Moment,
    times: usize,
}

/// The failures that are still to come, at most one kind for each operation.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<HashMap<Operation, Fault>>>);

impl Faults {
    /// Refuses the next `times` requests for `operation`, without doing anything.
    pub fn fail(&self, operation: Operation, status: StatusCode, times: usize) {
        self.set(
            operation,
            Fault {
                status,
                moment: Moment::Before,
                times,
            },
        );
    }

    /// Performs the next `times` requests for `operation`, and then answers as if it had not: the
    /// client cannot know.
    pub fn fail_after(&self, operation: Operation, status: StatusCode, times: usize) {
        self.set(
            operation,
            Fault {
                status,
                moment: Moment::After,
                times,
            },
        );
    }

    /// Lets everything work again.
    pub fn clear(&self) {
        self.pending().clear();
    }

    /// Returns how many failures of `operation` are still to come.
    pub fn left(&self, operation: Operation) -> usize {
        self.pending()
            .get(&operation)
            .map_or(0, |fault| fault.times)
    }

    /// Takes the failure that is due, if any.
    pub(super) fn take(&self, operation: Operation) -> Option<(StatusCode, Moment)> {
        let mut pending = self.pending();
        let fault = pending
            .get_mut(&operation)
            .filter(|fault| fault.times > 0)?;
        fault.times -= 1;
        Some((fault.status, fault.moment))
    }

    fn set(&self, operation: Operation, fault: Fault) {
        self.pending().insert(operation, fault);
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Operation, Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
