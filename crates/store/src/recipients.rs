//! The users of the platform, as far as the service needs to know them: the view `export_recipients`.

use domain::UserId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// What is known of a user. It has no `Debug`, which would show an e-mail address.
pub enum Recipient {
    /// Has an address.
    Reachable(String),
    /// Has no address.
    WithoutAddress,
    /// Is not active any more.
    Inactive,
    /// Is not there.
    Unknown,
}

/// Looks a user up.
///
/// # Errors
///
/// [`StoreError::Recipients`] when the view cannot be read.
pub async fn find(conn: &mut PgConnection, user: UserId) -> Result<Recipient, StoreError> {
    let found = sqlx::query!(
        "SELECT email, active FROM export_recipients WHERE user_id = $1",
        user.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::Recipients)?;
    let Some(found) = found else {
        return Ok(Recipient::Unknown);
    };
    if found.active == Some(false) {
        return Ok(Recipient::Inactive);
    }
    let address = found.email.filter(|address| !address.trim().is_empty());
    Ok(address.map_or(Recipient::WithoutAddress, Recipient::Reachable))
}
