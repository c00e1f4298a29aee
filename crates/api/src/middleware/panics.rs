//! Turns a panic of a handler into an answer.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// Answers for a handler that panicked; the panic hook has logged what and where.
pub fn caught(_panic: Box<dyn Any + Send>) -> Response {
    Problem::internal("a handler panicked").into_response()
}
