//! Makes jobs of the schedules that are due. Any number of workers may do so at once.

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::{
    ExportRequest, JobId, Pointer, RequestLimits, Schedule, ScheduleErrorCode, ScheduleFailure,
    ScheduleId, export_of,
};
use queue::Wakeups;
use source::LiveCatalogue;
use store::events::Actor;
use store::jobs::{NewJob, Run};
use store::quotas::{self, QuotasConfig};
use store::recipients::{self, Recipient};
use store::schedules::{self, Due};
use store::{PgConnection, PgPool, PgTransaction, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::SchedulesConfig;

/// Makes jobs of schedules.
pub struct Scheduler {
    /// Where schedules and jobs are.
    pub pool: PgPool,
    /// What can be exported.
    pub catalogue: LiveCatalogue,
    /// What organizations may have.
    pub quotas: QuotasConfig,
    /// Wakes a worker for a job.
    pub wake_ups: Wakeups,
    /// When to look.
    pub config: SchedulesConfig,
}

/// For how many polls a schedule is left alone that could not be run, so that those behind it have their
/// turn.
const PUT_OFF: u32 = 12;

/// What became of the schedule that was next.
enum Turn {
    /// It has run, or says why not.
    Over,
    /// None is due.
    Nothing,
    /// It cannot be read, or Postgres refuses what became of it.
    Failed(ScheduleId, StoreError),
}

impl Scheduler {
    /// Makes jobs until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let poll_interval = Duration::from_millis(self.config.poll_interval_ms.get());
        let mut put_off = HashMap::new();
        while !stop.is_cancelled() {
            put_off.retain(|_, until| *until > Instant::now());
            let ids: Vec<_> = put_off.keys().copied().collect();
            match self.run_next(&ids).await {
                Ok(Turn::Over) => continue,
                Ok(Turn::Nothing) => {}
                Ok(Turn::Failed(schedule, error)) => {
                    tracing::error!(
                        schedule.id = %schedule,
                        error = &error as &dyn Error,
                        "a schedule is put off"
                    );
                    put_off.insert(schedule, Instant::now() + poll_interval * PUT_OFF);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "schedules have to wait");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(poll_interval) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Runs the schedule that is next, but for those that are `put_off`.
    async fn run_next(&self, put_off: &[ScheduleId]) -> Result<Turn, StoreError> {
        let mut conn = store::acquire(&self.pool).await?;
        let mut tx = store::begin(&mut conn).await?;
        let due = match schedules::lock_due(&mut tx, put_off).await {
            Ok(Some(due)) => due,
            Ok(None) => return Ok(Turn::Nothing),
            Err(error) => {
                return match error {
                    StoreError::CorruptSchedule { schedule } => Ok(Turn::Failed(schedule, error)),
                    error => Err(error),
                };
            }
        };
        let schedule = due.schedule.id;
        Ok(match self.run_due(tx, due).await {
            Ok(()) => Turn::Over,
            Err(error) => Turn::Failed(schedule, error),
        })
    }

    /// Runs a schedule that was locked by `tx`.
    async fn run_due(&self, mut tx: PgTransaction<'_>, due: Due) -> Result<(), StoreError> {
        let Due {
            schedule,
            run_at,
            now,
        } = due;
        let recurrence = &schedule.request.recurrence;
        // What was missed while no worker ran is made up for once.
        let run_at = recurrence.last_until(now).unwrap_or(run_at).max(run_at);
        let made = self.make(&mut tx, &schedule, run_at).await?;
        let next = recurrence.next_after(now.max(run_at));
        schedules::advance(&mut tx, schedule.id, run_at, made.as_ref().copied(), next).await?;
        tx.commit().await?;
        match made {
            Ok(job) => {
                tracing::info!(schedule.id = %schedule.id, job.id = %job, "made a job of a schedule");
                if let Err(error) = self.wake_ups.push(job).await {
                    tracing::debug!(error = &error as &dyn Error, "the job waits for a poll");
                }
            }
            Err(failure) => {
                tracing::warn!(schedule.id = %schedule.id, code = %failure.code, "a schedule made no job");
            }
        }
        Ok(())
    }

    /// Makes the job of a run, or says why there can be none.
    async fn make(
        &self,
        tx: &mut PgConnection,
        schedule: &Schedule,
        run_at: DateTime<Utc>,
    ) -> Result<Result<JobId, ScheduleFailure>, StoreError> {
        let request = match self.request(schedule, run_at) {
            Ok(request) => request,
            Err(failure) => return Ok(Err(failure)),
        };
        match recipients::find(tx, schedule.user).await? {
            Recipient::Inactive => {
                return Ok(Err(ScheduleFailure {
                    code: ScheduleErrorCode::UserInactive,
                    message: "The user is not active any more.".to_owned(),
                }));
            }
            Recipient::Unknown => return Ok(Err(unknown_principal())),
            Recipient::Reachable(_) | Recipient::WithoutAddress => {}
        }
        let quota = self.quotas.of(schedule.organization);
        let exceeded = quotas::check(tx, schedule.organization, &quota).await?;
        if exceeded.is_some() {
            return Ok(Err(ScheduleFailure {
                code: ScheduleErrorCode::QuotaExceeded,
                message: "A quota of the organization is used up.".to_owned(),
            }));
        }
        let job = NewJob {
            id: Uuid::now_v7().into(),
            organization: schedule.organization,
            narrowed_to: schedule.narrowed_to.clone(),
            user: schedule.user,
            actor: Actor {
                user: Some(schedule.user),
                ip: None,
                user_agent: None,
            },
            request,
            trace: None,
            run: Some(Run {
                schedule: schedule.id,
                run_at,
                prefix: schedule.request.prefix.clone(),
            }),
        };
        match schedules::make(tx, job).await {
            Ok(job) => Ok(Ok(job.id)),
            Err(StoreError::UnknownPrincipal(_)) => Ok(Err(unknown_principal())),
            Err(error) => Err(error),
        }
    }

    fn request(
        &self,
        schedule: &Schedule,
        run_at: DateTime<Utc>,
    ) -> Result<ExportRequest, ScheduleFailure> {
        let window = schedule.request.window(run_at);
        let window = window.ok_or_else(|| ScheduleFailure {
            code: ScheduleErrorCode::NoWindow,
            message: "There was no such time in the time zone of the schedule.".to_owned(),
        })?;
        let body = export_of(&schedule.request.export, window);
        let request = ExportRequest::parse(&body, &RequestLimits::NONE).and_then(|request| {
            let catalogue = self.catalogue.current();
            let (organization, narrowed_to) = (schedule.organization, &schedule.narrowed_to);
            let resolved = catalogue.resolve(&request, organization, narrowed_to);
            resolved.map(|_| request)
        });
        request.map_err(|violations| {
            let export = Pointer::root().child("export");
            let wrong: Vec<_> = violations
                .iter()
                .map(|it| format!("{}: {}", it.pointer.below(&export).as_str(), it.detail))
                .collect();
            ScheduleFailure {
                code: ScheduleErrorCode::DatasetChanged,
                message: format!(
                    "The dataset, a column or a filter of the export does not exist. {}",
                    wrong.join("; ")
                ),
            }
        })
    }
}

fn unknown_principal() -> ScheduleFailure {
    ScheduleFailure {
        code: ScheduleErrorCode::UnknownPrincipal,
        message: "The platform does not know the user or the organization any more.".to_owned(),
    }
}
