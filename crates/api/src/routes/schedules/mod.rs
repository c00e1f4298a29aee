//! Exports that recur: one file per endpoint, with its error.

pub(crate) mod create_schedule;
pub(crate) mod delete_schedule;
pub(crate) mod get_schedule;
pub(crate) mod list_schedules;
pub(crate) mod representation;
mod schedule_path;

pub use create_schedule::{CreateScheduleError, create_schedule};
pub use delete_schedule::delete_schedule;
pub use get_schedule::get_schedule;
pub use list_schedules::{ListSchedulesError, list_schedules};
pub use schedule_path::{ScheduleError, SchedulePath};
