//! Schemas of the words that the domain defines, so that the document knows what the code knows.

use domain::{Compression, ErrorCode, Format, JobStatus};
use store::events::EventKind;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};

use crate::problem::ProblemCode;

/// The states of a job.
pub(crate) fn job_status() -> Object {
    names(JobStatus::ALL.iter().map(|status| status.as_str()))
}

/// The formats of files.
pub(crate) fn format() -> Object {
    names(Format::NAMES.iter().copied())
}

/// The compressions around files.
pub(crate) fn compression() -> Object {
    names(Compression::NAMES.iter().copied())
}

/// What happens to jobs.
pub(crate) fn event_kind() -> Object {
    names(EventKind::ALL.iter().map(|kind| kind.as_str()))
}

/// Why jobs fail.
pub(crate) fn error_code() -> Object {
    names(ErrorCode::ALL.iter().map(|code| code.as_str()))
}

/// What goes wrong with calls.
pub(crate) fn problem_code() -> Object {
    names(ProblemCode::ALL.iter().map(|code| code.as_str()))
}

/// What is wrong with a request.
pub(crate) fn violations() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let violation = ObjectBuilder::new()
        .property("pointer", text())
        .property("detail", text())
        .required("pointer")
        .required("detail");
    ArrayBuilder::new().items(violation).into()
}

/// One of some names.
pub(super) fn names(names: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .build()
}
