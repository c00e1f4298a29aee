//! What one organization may have and use.
//!
//! [`check`] belongs into the transaction that makes the job. How many jobs run is for
//! [`crate::jobs::claim`] to see to, which asks [`QuotasConfig::running`].

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use domain::{FileTotals, OrganizationId};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::jobs::bigint;

/// The section `quotas`.
#[derive(Clone, Debug, Deserialize)]
pub struct QuotasConfig {
    /// What an organization has that no rule names.
    #[serde(flatten)]
    pub default: Quota,
    /// What differs from that; the first rule that names an organization counts.
    pub rules: Vec<QuotaRule>,
}

/// What one organization may have and use; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Quota {
    /// Jobs that run at once.
    pub max_running: u32,
    /// Jobs that wait.
    pub max_queued: u32,
    /// Rows in the files of a day (UTC).
    pub max_rows_per_day: u64,
    /// Bytes of the files of a day (UTC).
    pub max_bytes_per_day: u64,
    /// The longest window of an export.
    pub max_range_days: u32,
}

/// What an organization may have that differs from the default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaRule {
    /// The organization.
    pub organization: OrganizationId,
    /// In place of [`Quota::max_running`].
    pub max_running: Option<u32>,
    /// In place of [`Quota::max_queued`].
    pub max_queued: Option<u32>,
    /// In place of [`Quota::max_rows_per_day`].
    pub max_rows_per_day: Option<u64>,
    /// In place of [`Quota::max_bytes_per_day`].
    pub max_bytes_per_day: Option<u64>,
    /// In place of [`Quota::max_range_days`].
    pub max_range_days: Option<u32>,
}

impl Quota {
    /// Tells whether there is anything that a request may exceed, but for its window.
    pub fn limits_requests(&self) -> bool {
        self.of_requests().iter().any(|(_, limit)| limit.is_some())
    }

    /// Returns what requests are measured by, with what takes longest to pass first.
    fn of_requests(&self) -> [(Resource, Option<u64>); 3] {
        [
            (Resource::Rows, limit(self.max_rows_per_day)),
            (Resource::Bytes, limit(self.max_bytes_per_day)),
            (Resource::Queue, limit(self.max_queued).map(u64::from)),
        ]
    }

    /// Returns the longest window of an export.
    pub fn max_range(&self) -> TimeDelta {
        limit(self.max_range_days).map_or(TimeDelta::MAX, |days| TimeDelta::days(days.into()))
    }
}

impl QuotasConfig {
    /// Returns what an organization may have and use.
    pub fn of(&self, organization: OrganizationId) -> Quota {
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.organization == organization);
        rule.map_or(self.default, |rule| rule.over(self.default))
    }

    /// Returns how many jobs each organization may have at work.
    pub fn running(&self) -> RunningLimits {
        let jobs = |quota: Quota| limit(quota.max_running).map_or(i64::MAX, i64::from);
        // Each organization once, however many rules name it.
        let limits: BTreeMap<_, _> = self
            .rules
            .iter()
            .map(|rule| {
                let organization = rule.organization;
                (organization.as_uuid(), jobs(self.of(organization)))
            })
            .collect();
        let (organizations, of_each) = limits.into_iter().unzip();
        RunningLimits {
            default: jobs(self.default),
            organizations,
            of_each,
        }
    }
}

impl QuotaRule {
    fn over(&self, default: Quota) -> Quota {
        Quota {
            max_running: self.max_running.unwrap_or(default.max_running),
            max_queued: self.max_queued.unwrap_or(default.max_queued),
            max_rows_per_day: self.max_rows_per_day.unwrap_or(default.max_rows_per_day),
            max_bytes_per_day: self.max_bytes_per_day.unwrap_or(default.max_bytes_per_day),
            max_range_days: self.max_range_days.unwrap_or(default.max_range_days),
        }
    }
}

/// How many jobs each organization may have at work.
#[derive(Clone, Debug)]
pub struct RunningLimits {
    pub(crate) default: i64,
    /// The organizations that have a limit of their own.
    pub(crate) organizations: Vec<Uuid>,
    /// Their limits, in the same order.
    pub(crate) of_each: Vec<i64>,
}

impl RunningLimits {
    /// No limits.
    pub const NONE: Self = Self {
        default: i64::MAX,
        organizations: Vec::new(),
        of_each: Vec::new(),
    };
}

/// What there is only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Places in the queue.
    Queue,
    /// Rows of a day.
    Rows,
    /// Bytes of a day.
    Bytes,
}

/// What an organization has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What there is no more of.
    pub resource: Resource,
    /// How much there is.
    pub limit: u64,
    /// How much of it is used; for the queue, no more than the limit.
    pub used: u64,
    /// When the day is over.
    pub day_ends_in: Duration,
}

/// Tells what is in the way of another job. Until the end of the transaction, no other request of the
/// organization gets an answer: of two, the second one sees the job of the first. Files that are made
/// at the moment are not counted yet.
///
/// # Errors
///
/// When Postgres fails.
pub async fn check(
    conn: &mut PgConnection,
    organization: OrganizationId,
    quota: &Quota,
) -> Result<Option<Exceeded>, StoreError> {
    if !quota.limits_requests() {
        return Ok(None);
    }
    let used = sqlx::query!(
        r#"SELECT queued AS "queued!", rows AS "rows!", size_bytes AS "size_bytes!",
                  ceil(86400 - extract(epoch FROM (now() AT TIME ZONE 'UTC')::time))::bigint
                      AS "day_ends_in_s!"
           FROM export_quota_used($1, $2)"#,
        organization.as_uuid(),
        i64::from(quota.max_queued),
    )
    .fetch_one(conn)
    .await?;
    let exceeded = quota
        .of_requests()
        .into_iter()
        .find_map(|(resource, limit)| {
            let used_of_it = match resource {
                Resource::Rows => used.rows,
                Resource::Bytes => used.size_bytes,
                Resource::Queue => used.queued,
            };
            let (limit, used_of_it) = (limit?, used_of_it.unsigned_abs());
            (used_of_it >= limit).then_some(Exceeded {
                resource,
                limit,
                used: used_of_it,
                day_ends_in: Duration::from_secs(used.day_ends_in_s.unsigned_abs()),
            })
        });
    Ok(exceeded)
}

/// Adds files to what the organization has exported today.
pub(crate) async fn add_usage(
    conn: &mut PgConnection,
    organization: OrganizationId,
    files: &FileTotals,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO export_usage AS usage (organization_id, day, rows, size_bytes)
         VALUES ($1, (now() AT TIME ZONE 'UTC')::date, $2, $3)
         ON CONFLICT (organization_id, day) DO UPDATE
         SET rows = usage.rows + excluded.rows, size_bytes = usage.size_bytes + excluded.size_bytes",
        organization.as_uuid(),
        bigint(files.rows),
        bigint(files.size_bytes),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns a limit, or nothing where there is none.
fn limit<N: Default + PartialEq>(configured: N) -> Option<N> {
    (configured != N::default()).then_some(configured)
}
