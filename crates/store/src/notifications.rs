//! Notifications that are due: each goes out by one channel, with a lease, a token and a retry
//! schedule of its own.

use std::time::Duration;

use domain::{ExportJob, ExportRequest, OrganizationId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{StoreError, fenced};
use crate::events::{self, EventKind};
use crate::jobs::{self, Claim};
use crate::metrics::{self, Outcome};
use crate::transaction;

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationKind {
    /// The file is there.
    Completed,
    /// There will be no file.
    Failed,
}

impl NotificationKind {
    const ALL: &[Self] = &[Self::Completed, Self::Failed];

    /// Returns the name, as it stands in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// How a notification goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By e-mail, to the user who asked for the export.
    Email,
    /// To the webhook that the request names.
    Webhook,
}

impl Channel {
    /// Returns the name, as it stands in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// A notification that this process may send until its lease ends.
#[derive(Debug)]
pub struct DueNotification {
    /// Its id; the same at every attempt.
    pub id: Uuid,
    /// What it is about.
    pub kind: NotificationKind,
    /// The job.
    pub job: ExportJob,
    /// What it asks for.
    pub request: ExportRequest,
    /// How often it has been tried, this time included.
    pub attempts: u32,
    channel: Channel,
    pub(crate) token: i64,
}

/// Adds the notifications of a job that has just ended, due at once: one for each channel.
pub(crate) async fn add(
    conn: &mut PgConnection,
    claim: &Claim,
    kind: NotificationKind,
) -> Result<(), StoreError> {
    let webhook = claim.request.notify.webhook.as_ref();
    let channels: Vec<_> = [Channel::Email]
        .into_iter()
        .chain(webhook.map(|_| Channel::Webhook))
        .map(|channel| channel.as_str().to_owned())
        .collect();
    sqlx::query!(
        "INSERT INTO export_notifications (job_id, kind, channel)
         SELECT $1::uuid, $2::text, channel FROM unnest($3::text[]) AS channel",
        claim.job.id.as_uuid(),
        kind.as_str(),
        &channels,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the notification of a channel that has been due for longest, and counts the attempt. Two
/// processes never get the same one. Those of organizations that are `full` stay.
///
/// # Errors
///
/// When Postgres fails. The notification of a job that cannot be read is [`StoreError::Corrupt`],
/// once: it has been given up then.
pub async fn claim_due(
    conn: &mut PgConnection,
    channel: Channel,
    lease: Duration,
    full: &[OrganizationId],
) -> Result<Option<DueNotification>, StoreError> {
    let full: Vec<_> = full.iter().map(|full| full.as_uuid()).collect();
    let mut tx = transaction::begin(conn).await?;
    let claimed = sqlx::query!(
        "WITH due AS (
             SELECT id FROM export_notifications
             WHERE status = 'PENDING' AND channel = $2
               AND COALESCE(lease_until, run_after) <= now()
               -- A subquery for each row, up to the first that fits: the others are not looked at.
               AND (SELECT organization_id FROM export_jobs AS job
                    WHERE job.job_id = export_notifications.job_id) <> ALL($3)
             ORDER BY COALESCE(lease_until, run_after)
             LIMIT 1
             FOR UPDATE SKIP LOCKED
         )
         UPDATE export_notifications AS it
         SET token = token + 1, attempts = attempts + 1,
             lease_until = now() + make_interval(secs => $1)
         FROM due WHERE it.id = due.id
         RETURNING it.id, it.job_id, it.kind, it.attempts, it.token",
        lease.as_secs_f64(),
        channel.as_str(),
        &full,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(claimed) = claimed else {
        return Ok(None);
    };
    let loaded = jobs::load(&mut tx, claimed.job_id.into()).await;
    let (job, request) = match loaded.and_then(with_request) {
        Err(unreadable @ StoreError::Corrupt { .. }) => {
            // It must not be the first in the queue for ever.
            sqlx::query!(
                "UPDATE export_notifications SET status = 'FAILED', last_error = $2, lease_until = NULL
                 WHERE id = $1",
                claimed.id,
                unreadable.to_string(),
            )
            .execute(&mut *tx)
            .await?;
            let job = claimed.job_id.into();
            events::append(&mut tx, job, EventKind::Unnotified, None).await?;
            tx.commit().await?;
            metrics::notified(channel, Outcome::GivenUp);
            return Err(unreadable);
        }
        loaded => loaded?,
    };
    let kind = NotificationKind::ALL
        .iter()
        .find(|kind| kind.as_str() == claimed.kind)
        .ok_or_else(|| StoreError::Corrupt {
            job: job.id,
            detail: "column kind of a notification".to_owned(),
        })?;
    tx.commit().await?;
    Ok(Some(DueNotification {
        id: claimed.id,
        kind: *kind,
        job,
        request,
        attempts: claimed.attempts.unsigned_abs(),
        channel,
        token: claimed.token,
    }))
}

/// Returns a job with what it asks for, which was valid when the job ran.
fn with_request(job: ExportJob) -> Result<(ExportJob, ExportRequest), StoreError> {
    match &job.request {
        Ok(request) => {
            let request = request.clone();
            Ok((job, request))
        }
        Err(_) => Err(StoreError::Corrupt {
            job: job.id,
            detail: "the request".to_owned(),
        }),
    }
}

/// Notes that the other side has accepted it.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when another process has it.
pub async fn sent(conn: &mut PgConnection, due: &DueNotification) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_notifications SET status = 'SENT', sent_at = now(), lease_until = NULL
         WHERE id = $1 AND token = $2 AND status = 'PENDING' AND lease_until IS NOT NULL",
        due.id,
        due.token,
    )
    .execute(conn)
    .await?;
    fenced(&result)?;
    metrics::notified(due.channel, Outcome::Sent);
    Ok(())
}

/// Lets it wait for `delay` and be tried again.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when another process has it.
pub async fn retry(
    conn: &mut PgConnection,
    due: &DueNotification,
    delay: Duration,
    cause: &str,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE export_notifications
         SET run_after = now() + make_interval(secs => $3), last_error = $4, lease_until = NULL
         WHERE id = $1 AND token = $2 AND status = 'PENDING' AND lease_until IS NOT NULL",
        due.id,
        due.token,
        delay.as_secs_f64(),
        cause,
    )
    .execute(conn)
    .await?;
    fenced(&result)?;
    metrics::notified(due.channel, Outcome::Retried);
    Ok(())
}

/// Gives up on it for good, and leaves an event that says so.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when another process has it.
pub async fn give_up(
    conn: &mut PgConnection,
    due: &DueNotification,
    cause: &str,
) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    let result = sqlx::query!(
        "UPDATE export_notifications SET status = 'FAILED', last_error = $3, lease_until = NULL
         WHERE id = $1 AND token = $2 AND status = 'PENDING' AND lease_until IS NOT NULL",
        due.id,
        due.token,
        cause,
    )
    .execute(&mut *tx)
    .await?;
    fenced(&result)?;
    events::append(&mut tx, due.job.id, EventKind::Unnotified, None).await?;
    tx.commit().await?;
    metrics::notified(due.channel, Outcome::GivenUp);
    Ok(())
}
