//! `DELETE /api/v1/export/{id}`: a job is cancelled, or its file deleted.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use representation::JobRepresentation;

use crate::app::App;
use crate::auth::Creator;
use crate::client::Client;
use crate::routes::{JobError, JobPath};

/// Answers 200 with the job as it is afterwards: CANCELLED when it had not ended, EXPIRED when it
/// was completed, and otherwise as it was, so that asking twice is the same as asking once.
///
/// # Errors
///
/// 404 when the caller has no such job.
#[utoipa::path(
    delete, path = "/api/v1/export/{id}", tag = "exports", security(("token" = ["export:create"])),
    params(("id" = Uuid, Path, description = "The id of the export.")),
    responses((status = 200, description = "The export afterwards.", body = JobRepresentation<'static>)),
)]
pub async fn delete_export(
    State(app): State<App>,
    Creator(principal): Creator,
    client: Client,
    JobPath(id): JobPath,
) -> Result<Response, JobError> {
    let mut connection = store::acquire(&app.pool).await?;
    let actor = client.acting_for(principal.user);
    let job = store::jobs::withdraw(&mut connection, &principal.reach(), id, &actor)
        .await?
        .ok_or(JobError::NotFound)?;
    Ok(Json(JobRepresentation::new(&job, &app.links)).into_response())
}
