//! The audit trail of a job: what happened, when, through whom, from where.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::{JobId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::files;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Somebody asked for the export.
    Requested,
    /// A worker took it for the first time.
    Started,
    /// A worker went on with it where another one had ended.
    Resumed,
    /// A worker began it anew, since what others had stored was of no use.
    StartedOver,
    /// The file is there.
    Completed,
    /// There will be no file.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Somebody was sent to the file.
    Downloaded,
    /// Somebody deleted the file.
    Deleted,
    /// The time of the file is over.
    Expired,
    /// The e-mail about it, or the call of its webhook, could not be delivered.
    Unnotified,
    /// Somebody who has a link of an e-mail was sent to the file.
    LinkFollowed,
    /// Somebody revoked the links of e-mails.
    LinksRevoked,
    /// The service took the job over from another module.
    Adopted,
}

impl EventKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Requested,
        Self::Started,
        Self::Resumed,
        Self::StartedOver,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Downloaded,
        Self::Deleted,
        Self::Expired,
        Self::Unnotified,
        Self::LinkFollowed,
        Self::LinksRevoked,
        Self::Adopted,
    ];

    /// Returns the name, as it stands in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Started => "started",
            Self::Resumed => "resumed",
            Self::StartedOver => "started_over",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Downloaded => "downloaded",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Unnotified => "unnotified",
            Self::LinkFollowed => "link_followed",
            Self::LinksRevoked => "links_revoked",
            Self::Adopted => "adopted",
        }
    }
}

/// Who did it, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user; `None` for somebody who has a link.
    pub user: Option<UserId>,
    /// The address that the request came from.
    pub ip: Option<IpAddr>,
    /// What the client calls itself; the first 512 characters are kept.
    pub user_agent: Option<String>,
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Grows from entry to entry, from 1 on.
    pub id: i64,
    /// What happened.
    pub kind: EventKind,
    /// Who did it; `None` for the service itself.
    pub actor: Option<Actor>,
    /// The number of the file that somebody was sent to, where the request said one.
    pub file: Option<u32>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Adds an entry; `actor` is `None` for the service itself.
///
/// # Errors
///
/// When Postgres fails.
pub async fn append(
    conn: &mut PgConnection,
    job: JobId,
    kind: EventKind,
    actor: Option<&Actor>,
) -> Result<(), StoreError> {
    append_of_file(conn, job, kind, actor, None).await
}

/// Adds an entry about one file of a job, which is told by its number.
///
/// # Errors
///
/// When Postgres fails.
pub async fn append_of_file(
    conn: &mut PgConnection,
    job: JobId,
    kind: EventKind,
    actor: Option<&Actor>,
    file: Option<u32>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO export_events (job_id, kind, user_id, ip, user_agent, file)
         VALUES ($1, $2, $3, $4::text::inet, left($5, 512), $6)",
        job.as_uuid(),
        kind.as_str(),
        actor.and_then(|actor| actor.user).map(UserId::as_uuid),
        actor.and_then(|actor| actor.ip).map(|ip| ip.to_string()),
        actor.and_then(|actor| actor.user_agent.as_deref()),
        file.map(files::int),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns up to `limit` entries of a job, oldest first: those behind the entry `after`, or the first
/// ones.
///
/// # Errors
///
/// When Postgres fails.
pub async fn list(
    conn: &mut PgConnection,
    job: JobId,
    after: Option<i64>,
    limit: u16,
) -> Result<Vec<Event>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT event_id, kind, user_id, host(ip) AS ip, user_agent, file, at
           FROM export_events WHERE job_id = $1 AND event_id > $2
           ORDER BY event_id LIMIT $3"#,
        job.as_uuid(),
        after.unwrap_or_default(),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.event(job)).collect()
}

struct EventRow {
    event_id: i64,
    kind: String,
    user_id: Option<Uuid>,
    ip: Option<String>,
    user_agent: Option<String>,
    file: Option<i32>,
    at: DateTime<Utc>,
}

impl EventRow {
    fn event(self, job: JobId) -> Result<Event, StoreError> {
        let corrupt = |column: &str| StoreError::Corrupt {
            job,
            detail: format!("column {column} of an event"),
        };
        let kind = EventKind::ALL
            .iter()
            .find(|kind| kind.as_str() == self.kind)
            .ok_or_else(|| corrupt("kind"))?;
        let ip = self
            .ip
            .map(|ip| ip.parse())
            .transpose()
            .map_err(|_| corrupt("ip"))?;
        let actor = Actor {
            user: self.user_id.map(UserId::from),
            ip,
            user_agent: self.user_agent,
        };
        let is_the_service = actor.user.is_none() && actor.ip.is_none();
        Ok(Event {
            id: self.event_id,
            kind: *kind,
            actor: (!is_the_service).then_some(actor),
            file: self.file.map(i32::unsigned_abs),
            at: self.at,
        })
    }
}
