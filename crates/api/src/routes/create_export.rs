//! `POST /api/v1/export`: a new job.

mod idempotency;

use axum::Json;
use axum::extract::State;
use axum::http::header::{InvalidHeaderValue, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::{ExportJob, JobId, Violation};
use representation::JobRepresentation;
use runtime::traces;
use store::StoreError;
use store::idempotency::{self as keys, Begun, KeyedRequest};
use store::jobs::{NewJob, Scope};
use store::quotas::{self, Exceeded, Quota};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Creator;
use crate::client::Client;
use crate::json::JsonBody;
use crate::openapi::ExportRequestSchema;
use crate::problem::{Problem, ProblemCode};
use crate::routes::POLL_AFTER;
use crate::routes::create_export::idempotency::IdempotencyKey;
use crate::routes::validate::validate;

/// Why no job was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateExportError {
    /// The request is wrong.
    #[error("the request is wrong")]
    Invalid(Vec<Violation>),
    /// The organization has used up something.
    #[error("a quota is used up")]
    Quota(Exceeded),
    /// The idempotency key came with another body before.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// The idempotency key is used by a request that has no answer yet.
    #[error("the idempotency key is in use")]
    KeyInUse,
    /// The database failed, or does not know the caller.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row of the job cannot be found, though a key names it.
    #[error("the job is not there")]
    Vanished,
    /// The address of the job is no header.
    #[error("the address of the job is no header")]
    Location(#[from] InvalidHeaderValue),
}

impl IntoResponse for CreateExportError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::Quota(exceeded) => exceeded.into(),
            Self::KeyReused => {
                let detail = "Choose a new key for each request that differs.";
                Problem::new(ProblemCode::IdempotencyKeyReused, detail)
            }
            Self::KeyInUse => {
                let detail = "Send the request again in a moment, with the same key.";
                Problem::new(ProblemCode::IdempotencyKeyInUse, detail)
                    .header(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            Self::Store(error) => error.into(),
            Self::Vanished | Self::Location(_) => Problem::internal(self),
        }
        .into_response()
    }
}

/// Makes a job and answers 202 with it. The job is there once its row is committed; the wake-up
/// of a worker follows in the background.
///
/// With an `Idempotency-Key` that came with the same body before, no job is made, and the answer is
/// the first one again.
///
/// # Errors
///
/// 422 with everything that is wrong with the request; 403 when the platform does not know the
/// user or the organization. 400, 409 and 422 when the key is malformed, in use, or belongs to
/// another body. 429 when the organization has used up a quota.
#[utoipa::path(
    post, path = "/api/v1/export", tag = "exports", security(("token" = ["export:create"])),
    params((
        "Idempotency-Key" = Option<String>, Header, pattern = r#"^([!#-+\--:<-\[\]-~]{1,255}|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#,
        description = "The same key and body within 24 hours make one export.", example = "8e03978e-40d5-43e8-bc93-6894a57f9324",
    )),
    request_body(content = ExportRequestSchema),
    responses((
        status = 202, description = "The export is requested.", body = JobRepresentation<'static>,
        headers(
            ("Location" = String, description = "The address of the export."),
            ("Retry-After" = u8, description = "When to ask for it, in seconds."),
        ),
    )),
)]
pub async fn create_export(
    State(app): State<App>,
    Creator(principal): Creator,
    client: Client,
    key: Option<IdempotencyKey>,
    JsonBody(body): JsonBody,
) -> Result<Response, CreateExportError> {
    let quota = app.quotas.of(principal.organization);
    let limits = app.limits.of(&quota);
    let (request, _) =
        validate(&app, &body, &limits, &principal).map_err(CreateExportError::Invalid)?;
    let job = NewJob {
        id: JobId::from(Uuid::now_v7()),
        organization: principal.organization,
        narrowed_to: principal.narrowed_to.clone(),
        user: principal.user,
        actor: client.acting_for(principal.user),
        request,
        trace: traces::current(),
        run: None,
    };
    let keyed = key.map(|key| key.with(&principal, body));
    let inserted = if keyed.is_none() && !quota.limits_requests() {
        Inserted::Now(store::jobs::insert(&mut *store::acquire(&app.pool).await?, job).await?)
    } else {
        insert_if_allowed(&app, &principal.own(), job, &quota, keyed.as_ref()).await?
    };
    match inserted {
        Inserted::Now(job) => {
            app.wake(job.id);
            accepted(&app, &job)
        }
        Inserted::Before(job) => accepted(&app, &job.as_requested()),
    }
}

/// The job of a request.
enum Inserted {
    /// It is new.
    Now(ExportJob),
    /// The same request came before, with its key.
    Before(ExportJob),
}

/// Inserts a job unless the same request came before with its key, or a quota is used up.
async fn insert_if_allowed(
    app: &App,
    own: &Scope,
    job: NewJob,
    quota: &Quota,
    keyed: Option<&KeyedRequest>,
) -> Result<Inserted, CreateExportError> {
    let mut conn = store::acquire(&app.pool).await?;
    let mut tx = store::begin(&mut conn).await?;
    let begun = match keyed {
        Some(keyed) => keys::begin(&mut tx, keyed).await?,
        None => Begun::First,
    };
    let known = match begun {
        Begun::First => match quotas::check(&mut tx, job.organization, quota).await? {
            None => {
                let job = store::jobs::insert(&mut tx, job).await?;
                if let Some(keyed) = keyed {
                    keys::remember(&mut tx, keyed, job.id).await?;
                }
                tx.commit().await.map_err(StoreError::from)?;
                return Ok(Inserted::Now(job));
            }
            Some(exceeded) => Err(CreateExportError::Quota(exceeded)),
        },
        Begun::Repeated(id) => store::jobs::get(&mut tx, own, id)
            .await?
            .ok_or(CreateExportError::Vanished),
        Begun::Reused => Err(CreateExportError::KeyReused),
        Begun::InProgress => Err(CreateExportError::KeyInUse),
    };
    // Before the answer, so that the key and the quota are free for whoever has read it.
    tx.rollback().await.map_err(StoreError::from)?;
    known.map(Inserted::Before)
}

fn accepted(app: &App, job: &ExportJob) -> Result<Response, CreateExportError> {
    let location = HeaderValue::try_from(app.links.job(job.id))?;
    let headers = [(LOCATION, location), (RETRY_AFTER, POLL_AFTER)];
    let body = Json(JobRepresentation::new(job, &app.links));
    Ok((StatusCode::ACCEPTED, headers, body).into_response())
}
