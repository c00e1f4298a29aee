//! An export that recurs, read from JSON with everything that is wrong with it at once.

mod recurrence;
mod window;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};

pub use recurrence::Recurrence;
pub use window::Window;

use crate::closed_set::closed_set;
use crate::ids::{JobId, OrganizationId, ScheduleId, UserId};
use crate::key_prefix::KeyPrefix;
use crate::members::{Members, NUL, one, one_of, text};
use crate::narrowing::Narrowing;
use crate::time_range::TimeRange;
use crate::violation::{Pointer, Violation};

/// An export that recurs, and what has become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The id.
    pub id: ScheduleId,
    /// Whose rows.
    pub organization: OrganizationId,
    /// Which of them.
    pub narrowed_to: Narrowing,
    /// Who asked for it.
    pub user: UserId,
    /// What for.
    pub request: ScheduleRequest,
    /// Why its last run made no job.
    pub failure: Option<ScheduleFailure>,
    /// When it runs next.
    pub next_run_at: Option<DateTime<Utc>>,
    /// When it last ran.
    pub last_run_at: Option<DateTime<Utc>>,
    /// The last job that it made.
    pub last_job: Option<JobId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Why a run made no job, as the owner of the schedule is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleFailure {
    /// The stable code.
    pub code: ScheduleErrorCode,
    /// The sentence.
    pub message: String,
}

closed_set! {
    /// The public reason why a run made no job.
    ScheduleErrorCode {
        /// The dataset, a column or a filter does not exist any more.
        DatasetChanged = "dataset_changed",
        /// The platform does not know the user or the organization any more.
        UnknownPrincipal = "unknown_principal",
        /// The user is not active any more.
        UserInactive = "user_inactive",
        /// A quota of the organization is used up.
        QuotaExceeded = "quota_exceeded",
        /// There was no such time where the schedule is.
        NoWindow = "no_window",
    }
}

/// What somebody wants exported again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleRequest {
    /// What it is called, 1 to 100 characters.
    pub name: String,
    /// When.
    pub recurrence: Recurrence,
    /// Which time each export is of.
    pub last: Window,
    /// Where the files are, below the prefix of the organization.
    pub prefix: Option<KeyPrefix>,
    /// The body of a request for an export, without its window.
    pub export: Map<String, Value>,
}

/// Characters of the longest name.
const MAX_NAME: usize = 100;

impl ScheduleRequest {
    /// Reads the body of a `POST /api/v1/export/schedules`. What is in `export` is for whoever makes a
    /// request of it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of the members.
    pub fn parse(
        body: &Value,
        shortest_interval: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Self, Vec<Violation>> {
        let mut members = Members::of(body, Pointer::root())?;
        let name = members.required("name", name);
        let cron = members.required("cron", text);
        let zone = members.required("time_zone", |value, at| {
            text(value, at)?
                .parse::<Tz>()
                .map_err(|_| one(at, "must be the name of a time zone, such as Europe/Berlin"))
        });
        let last = members.required("last", |value, at| {
            one_of(value, at, Window::parse, Window::NAMES)
        });
        let prefix = members.optional("prefix", |value, at| {
            KeyPrefix::parse(text(value, at)?).map_err(|detail| one(at, detail))
        });
        let export = members.required("export", export);
        let recurrence = cron.zip(zone).and_then(|(cron, zone)| {
            members.checked("cron", || {
                let recurrence = Recurrence::parse(cron, zone)?;
                recurrence.check(shortest_interval, now)?;
                Ok(recurrence)
            })
        });
        members.finish()?;
        // With no violation, whatever is required is there.
        let (Some(name), Some(recurrence), Some(last), Some(export)) =
            (name, recurrence, last, export)
        else {
            return Err(one(&Pointer::root(), "is not a valid schedule"));
        };
        Ok(Self {
            name,
            recurrence,
            last,
            prefix,
            export,
        })
    }

    /// Returns the window of the export of a run; nothing where there was no such time.
    pub fn window(&self, run: DateTime<Utc>) -> Option<TimeRange> {
        self.last.before(run, self.recurrence.zone())
    }
}

/// Returns the body of a request for an export of a window.
pub fn export_of(export: &Map<String, Value>, window: TimeRange) -> Value {
    let mut body = export.clone();
    for (member, time) in [("start_time", window.start()), ("end_time", window.end())] {
        body.insert(member.to_owned(), time.to_rfc3339().into());
    }
    Value::Object(body)
}

fn name(value: &Value, at: &Pointer) -> Result<String, Vec<Violation>> {
    let name = text(value, at)?.trim();
    if name.contains('\0') {
        return Err(one(at, NUL));
    }
    if !(1..=MAX_NAME).contains(&name.chars().count()) {
        return Err(one(at, format!("must have 1 to {MAX_NAME} characters")));
    }
    Ok(name.to_owned())
}

fn export(value: &Value, at: &Pointer) -> Result<Map<String, Value>, Vec<Violation>> {
    let Value::Object(export) = value else {
        return Err(one(at, "must be an object"));
    };
    let given = ["start_time", "end_time"].into_iter();
    let violations: Vec<_> = given
        .filter(|member| export.contains_key(*member))
        .map(|member| Violation::new(at.child(member), "must not be given: last says it"))
        .collect();
    if violations.is_empty() {
        Ok(export.clone())
    } else {
        Err(violations)
    }
}
