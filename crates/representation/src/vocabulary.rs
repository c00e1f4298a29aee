//! Schemas of the words that the domain defines, so that the document of the API knows what the code
//! knows.

use domain::{Compression, ErrorCode, Format, JobStatus};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// The states of a job.
pub fn job_status() -> Object {
    names(JobStatus::ALL.iter().map(|status| status.as_str()))
}

/// The formats of files.
pub fn format() -> Object {
    names(Format::NAMES.iter().copied())
}

/// The compressions around files.
pub fn compression() -> Object {
    names(Compression::NAMES.iter().copied())
}

/// Why jobs fail.
pub fn error_code() -> Object {
    names(ErrorCode::ALL.iter().map(|code| code.as_str()))
}

/// One of some names.
pub fn names(names: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .build()
}
