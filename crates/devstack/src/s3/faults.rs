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

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The answer is an error.
    Refuse(Moment, StatusCode),
    /// The work is done, and there is no answer.
    HangUp,
}

/// The failures that are still to come, at most one kind for each operation.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<HashMap<Operation, (Fault, usize)>>>);

impl Faults {
    /// Refuses the next `times` requests for `operation`, without doing anything.
    ///
    /// With status 200, the error is only in the body: what S3 does when `CompleteMultipartUpload`
    /// fails after it has begun to answer.
    pub fn fail(&self, operation: Operation, status: StatusCode, times: usize) {
        self.set(operation, Fault::Refuse(Moment::Before, status), times);
    }

    /// Performs the next `times` requests for `operation`, and then answers as if it had not: the
    /// client cannot know.
    pub fn fail_after(&self, operation: Operation, status: StatusCode, times: usize) {
        self.set(operation, Fault::Refuse(Moment::After, status), times);
    }

    /// Performs the next `times` requests for `operation`, and then hangs up without an answer.
    pub fn hang_up_after(&self, operation: Operation, times: usize) {
        self.set(operation, Fault::HangUp, times);
    }

    /// Lets everything work again.
    pub fn clear(&self) {
        self.pending().clear();
    }

    /// Returns how many failures of `operation` are still to come.
    pub fn left(&self, operation: Operation) -> usize {
        self.pending()
            .get(&operation)
            .map_or(0, |(_, times)| *times)
    }

    /// Takes the failure that is due, if any.
    pub(super) fn take(&self, operation: Operation) -> Option<Fault> {
        let mut pending = self.pending();
        let (fault, times) = pending
            .get_mut(&operation)
            .filter(|(_, times)| *times > 0)?;
        *times -= 1;
        Some(*fault)
    }

    fn set(&self, operation: Operation, fault: Fault, times: usize) {
        self.pending().insert(operation, (fault, times));
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Operation, (Fault, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
