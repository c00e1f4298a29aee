//! Schemas of the words that the code defines, so that the document knows what the code knows.

use domain::{Op, ScheduleErrorCode, Window};
use representation::vocabulary::names;
pub(crate) use representation::vocabulary::{compression, format, job_status};
use store::events::EventKind;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};

use crate::problem::ProblemCode;

/// The compressions that go with something.
pub(crate) fn compressions() -> Schema {
    ArrayBuilder::new().items(compression()).into()
}

/// The operators of filters that go with something.
pub(crate) fn operators() -> Schema {
    let names = names(Op::NAMES.iter().copied());
    ArrayBuilder::new().items(names).into()
}

/// What goes wrong with calls.
pub(crate) fn problem_code() -> Object {
    names(ProblemCode::ALL.iter().map(|code| code.as_str()))
}

/// What happens to jobs.
pub(crate) fn event_kind() -> Object {
    names(EventKind::ALL.iter().map(|kind| kind.as_str()))
}

/// Which time a scheduled export is of.
pub(crate) fn window() -> Object {
    names(Window::NAMES.iter().copied())
}

/// How schedules are.
pub(crate) fn schedule_status() -> Object {
    names(["ACTIVE", "FAILING"].into_iter())
}

/// Why a run of a schedule makes no job.
pub(crate) fn schedule_error_code() -> Object {
    names(ScheduleErrorCode::NAMES.iter().copied())
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
