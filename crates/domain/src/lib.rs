//! The words of the data export service: requests, jobs, states and errors. No I/O.
//!
//! Everything here is parsed once and never checked again: a value of one of these types is valid.

mod clock;
mod closed_set;
mod contents;
mod error;
mod filter;
mod ids;
mod job;
mod key_prefix;
mod members;
mod narrowing;
mod notify;
mod output;
mod request;
mod schedule;
mod split;
mod time;
mod time_range;
mod trace_parent;
mod violation;

pub use clock::{Clock, SystemClock};
pub use contents::{FileColumn, FileContents};
pub use error::{Classify, ErrorClass, ErrorCode, Failure};
pub use filter::{Comparison, Filter, FilterLimits, Filters, Op, Scalar};
pub use ids::{JobId, OrganizationId, ScheduleId, UserId, WorkerId};
pub use job::{ExportJob, ExportedFile, ExportedFiles, FileTotals, JobState, JobStatus, Progress};
pub use key_prefix::KeyPrefix;
pub use narrowing::Narrowing;
pub use notify::{LinkKind, Notify, WebhookUrl};
pub use output::{
    Compression, CsvOptions, Format, JsonLayout, JsonOptions, Output, ParquetCompression,
    ParquetOptions, RowOrder,
};
pub use request::{DataType, ExportRequest, InvalidRequest, RequestLimits, options_schema};
pub use schedule::{
    Recurrence, Schedule, ScheduleErrorCode, ScheduleFailure, ScheduleRequest, Window, export_of,
};
pub use split::Split;
pub use time::parse_time;
pub use time_range::TimeRange;
pub use trace_parent::TraceParent;
pub use violation::{Pointer, Violation};
