//! Links of the service's own to files: made for e-mails, followed by whoever has them, revoked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ExportJob, JobId};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::row::select_jobs;
use crate::error::{StoreError, fenced};
use crate::events::{self, Actor, EventKind};
use crate::notifications::DueNotification;
use crate::transaction;

/// What makes a link a secret. It has no `Debug`: whoever has it has the file.
pub struct LinkToken(String);

impl LinkToken {
    /// Makes a token of 256 random bits.
    pub fn new(random: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// Takes what somebody says is a token.
    pub fn given(text: String) -> Self {
        Self(text)
    }

    /// Returns the token as it stands in a link.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what is kept of it. Its 256 bits need neither salt nor stretching.
    fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// Makes a link to the file of the job that an e-mail is about.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when another process has the e-mail.
pub async fn add(
    conn: &mut PgConnection,
    mail: &DueNotification,
    token: &LinkToken,
) -> Result<(), StoreError> {
    let result = sqlx::query!(
        "INSERT INTO export_links (token_sha256, job_id)
         SELECT $3, job_id FROM export_notifications
         WHERE id = $1 AND token = $2 AND status = 'PENDING' AND lease_until IS NOT NULL",
        mail.id,
        mail.token,
        &token.sha256(),
    )
    .execute(conn)
    .await?;
    fenced(&result)
}

/// Returns the job whose file a link leads to, for as long as that is there and the link is not
/// revoked.
///
/// # Errors
///
/// When Postgres fails, or the row cannot be read.
pub async fn find(
    conn: &mut PgConnection,
    token: &LinkToken,
) -> Result<Option<ExportJob>, StoreError> {
    let row = select_jobs!(
        "WHERE shown_status = 'COMPLETED'
           AND job_id = (SELECT job_id FROM export_links WHERE token_sha256 = $1)",
        &token.sha256(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(ExportJob::try_from).transpose()
}

/// Revokes the links to the file of a job, with an event if there are any.
///
/// # Errors
///
/// When Postgres fails.
pub async fn revoke(conn: &mut PgConnection, job: JobId, actor: &Actor) -> Result<(), StoreError> {
    let mut tx = transaction::begin(conn).await?;
    let revoked = sqlx::query!("DELETE FROM export_links WHERE job_id = $1", job.as_uuid())
        .execute(&mut *tx)
        .await?;
    if revoked.rows_affected() > 0 {
        events::append(&mut tx, job, EventKind::LinksRevoked, Some(actor)).await?;
    }
    Ok(tx.commit().await?)
}
