//! `DELETE /api/v1/export/{id}/links`: the links that e-mails have to a job's file are revoked.

use axum::extract::State;
use axum::http::StatusCode;
use store::jobs::links;

use crate::app::App;
use crate::auth::Creator;
use crate::client::Client;
use crate::routes::{JobError, JobPath};

/// Answers 204 once no link of the service's own leads to the file any more. Links to the storage, which
/// are signed, cannot be revoked.
///
/// # Errors
///
/// 404 when the caller has no such job.
#[utoipa::path(
    delete, path = "/api/v1/export/{id}/links", tag = "files", security(("token" = ["export:create"])),
    params(("id" = Uuid, Path, description = "The id of the export.")),
    responses((status = 204, description = "The links that there were are revoked.")),
)]
pub async fn revoke_links(
    State(app): State<App>,
    Creator(principal): Creator,
    client: Client,
    JobPath(id): JobPath,
) -> Result<StatusCode, JobError> {
    let mut connection = store::acquire(&app.pool).await?;
    store::jobs::get(&mut connection, &principal.reach(), id)
        .await?
        .ok_or(JobError::NotFound)?;
    let actor = client.acting_for(principal.user);
    links::revoke(&mut connection, id, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
