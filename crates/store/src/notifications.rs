//! E-mails that are due: each with a lease, a token and a retry schedule of its own.

use std::time::Duration;

use domain::{ExportJob, JobId};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::error::{StoreError, fenced};
use crate::events::{self, EventKind};
use crate::jobs;
use crate::metrics::{self, MailOutcome};

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

/// A notification that this process may send until its lease ends. It has no `Debug`, which would
/// show an e-mail address.
pub struct DueNotification {
    /// Its id; the same at every attempt.
    pub id: Uuid,
    /// What it is about.
    pub kind: NotificationKind,
    /// The address of the user who asked for the export.
    pub recipient: String,
    /// The job.
    pub job: ExportJob,
    /// How often it has been tried, this time included.
    pub attempts: u32,
    pub(crate) token: i64,
}

/// Adds the notification of a job that has just ended, due at once.
pub(crate) async fn add(
    conn: &mut PgConnection,
    job: JobId,
    kind: NotificationKind,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO notifications (job_id, kind, user_id)
         SELECT job_id, $2, user_id FROM export_jobs WHERE job_id = $1",
        job.as_uuid(),
        kind.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the notification that has been due for longest, and counts the attempt. Two processes
/// never get the same one.
///
/// # Errors
///
/// When Postgres fails. The notification of a job that cannot be read is [`StoreError::Corrupt`],
/// once: it has been given up then.
pub async fn claim_due(
    conn: &mut PgConnection,
    lease: Duration,
) -> Result<Option<DueNotification>, StoreError> {
    let mut tx = conn.begin().await?;
    let claimed = sqlx::query!(
        "WITH due AS (
             SELECT id FROM notifications
             WHERE status = 'PENDING' AND COALESCE(lease_until, run_after) <= now()
             ORDER BY COALESCE(lease_until, run_after)
             LIMIT 1
             FOR UPDATE SKIP LOCKED
         )
         UPDATE notifications AS mail
         SET token = token + 1, attempts = attempts + 1,
             lease_until = now() + make_interval(secs => $1)
         FROM due, users
         WHERE mail.id = due.id AND users.id = mail.user_id
         RETURNING mail.id, mail.job_id, mail.kind, mail.attempts, mail.token, users.email",
        lease.as_secs_f64(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(claimed) = claimed else {
        return Ok(None);
    };
    let job = match jobs::load(&mut tx, claimed.job_id.into()).await {
        Err(unreadable @ StoreError::Corrupt { .. }) => {
            // It must not be the first in the queue for ever.
            sqlx::query!(
                "UPDATE notifications SET status = 'FAILED', last_error = $2, lease_until = NULL
                 WHERE id = $1",
                claimed.id,
                unreadable.to_string(),
            )
            .execute(&mut *tx)
            .await?;
            let job = claimed.job_id.into();
            events::append(&mut tx, job, EventKind::Unnotified, None).await?;
            tx.commit().await?;
            metrics::mail(MailOutcome::GivenUp);
            return Err(unreadable);
        }
        job => job?,
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
        recipient: claimed.email,
        job,
        attempts: claimed.attempts.unsigned_abs(),
        token: claimed.token,
    }))
}

/// Notes that the mail server has accepted it.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when another process has it.
pub async fn sent(conn: &mut PgConnection, mail: &DueNotification) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE notifications SET status = 'SENT', sent_at = now(), lease_until = NULL
         WHERE id = $1 AND token = $2 AND status = 'PENDING' AND lease_until IS NOT NULL",
        mail.id,
        mail.token,
    )
    .execute(conn)
    .await?;
    fenced(&result)?;
    metrics::mail(MailOutcome::Sent);
    Ok(())
}

/// Lets it wait for `delay` and be tried again.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when another process has it.
pub async fn retry(
    conn: &mut PgConnection,
    mail: &DueNotification,
    delay: Duration,
    cause: &str,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "UPDATE notifications
         SET run_after = now() + make_interval(secs => $3), last_error = $4, lease_until = NULL
         WHERE id = $1 AND token = $2 AND status = 'PENDING' AND lease_until IS NOT NULL",
        mail.id,
        mail.token,
        delay.as_secs_f64(),
        cause,
    )
    .execute(conn)
    .await?;
    fenced(&result)?;
    metrics::mail(MailOutcome::Retried);
    Ok(())
}

/// Gives up on it for good, and leaves an event that says so.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when another process has it.
pub async fn give_up(
    conn: &mut PgConnection,
    mail: &DueNotification,
    cause: &str,
) -> Result<(), StoreError> {
    let mut tx = conn.begin().await?;
    let result = sqlx::query!(
        "UPDATE notifications SET status = 'FAILED', last_error = $3, lease_until = NULL
         WHERE id = $1 AND token = $2 AND status = 'PENDING' AND lease_until IS NOT NULL",
        mail.id,
        mail.token,
        cause,
    )
    .execute(&mut *tx)
    .await?;
    fenced(&result)?;
    events::append(&mut tx, mail.job.id, EventKind::Unnotified, None).await?;
    tx.commit().await?;
    metrics::mail(MailOutcome::GivenUp);
    Ok(())
}
