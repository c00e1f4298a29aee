//! The jobs of a user or an organization, page by page.

use chrono::{DateTime, Utc};
use domain::{DataType, ExportJob, JobId, JobStatus};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::row::{JobRow, select_jobs};
use super::scope::Scope;
use crate::error::StoreError;

/// Which jobs to list.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Among which.
    pub scope: Scope,
    /// The status that they have.
    pub status: Option<JobStatus>,
    /// The dataset.
    pub data_type: Option<DataType>,
    /// When they were requested at the earliest.
    pub created_from: Option<DateTime<Utc>>,
    /// Before when they were requested.
    pub created_to: Option<DateTime<Utc>>,
    /// The last job of the page before.
    pub after: Option<Position>,
    /// How many jobs to return at most.
    pub limit: u16,
}

/// Where a job stands in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// When it was requested.
    pub created_at: DateTime<Utc>,
    /// Its id, which decides between jobs of the same moment.
    pub id: JobId,
}

/// A job of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Where it stands.
    pub position: Position,
    /// The job, or why its row cannot be read.
    pub job: Result<ExportJob, StoreError>,
}

impl From<JobRow> for Listed {
    fn from(row: JobRow) -> Self {
        Self {
            position: Position {
                created_at: row.created_at,
                id: row.job_id.into(),
            },
            job: row.try_into(),
        }
    }
}

/// Returns jobs, newest first.
///
/// # Errors
///
/// When Postgres fails.
pub async fn list(conn: &mut PgConnection, listing: &Listing) -> Result<Vec<Listed>, StoreError> {
    let (after_time, after_id) = listing
        .after
        .map(|position| (position.created_at, position.id.as_uuid()))
        .unzip();
    macro_rules! page {
        ($whose:literal $(, $user:expr)?) => {
            select_jobs!(
                $whose
                    + " AND ($2::text IS NULL OR shown_status = $2)
                        AND ($3::text IS NULL OR data_type = $3)
                        AND narrowed_to @> $9
                        AND created_at >= COALESCE($4, '-infinity'::timestamptz)
                        AND created_at < COALESCE($5, 'infinity'::timestamptz)
                        AND (created_at, job_id)
                            < (COALESCE($6, 'infinity'::timestamptz),
                               COALESCE($7, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                      ORDER BY created_at DESC, job_id DESC
                      LIMIT $8",
                listing.scope.organization.as_uuid(),
                listing.status.map(JobStatus::as_str),
                listing.data_type.as_ref().map(DataType::as_str),
                listing.created_from,
                listing.created_to,
                after_time,
                after_id,
                i64::from(listing.limit),
                Json(&listing.scope.narrowed_to) as _,
                $($user)?
            )
            .fetch_all(conn)
            .await?
        };
    }
    // Two statements, so that each is planned for its index.
    let rows = match listing.scope.user {
        Some(user) => page!(
            "WHERE organization_id = $1 AND user_id = $10",
            user.as_uuid()
        ),
        None => page!("WHERE organization_id = $1"),
    };
    Ok(rows.into_iter().map(Listed::from).collect())
}
