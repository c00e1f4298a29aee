//! `POST /api/v1/export/estimate`: what an export would be, without making it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Classify, ErrorClass, Pointer, Violation};
use source::SourceError;
use store::StoreError;

use crate::app::App;
use crate::auth::Creator;
use crate::estimate::{Estimate, TooManyEstimates};
use crate::json::JsonBody;
use crate::openapi::ExportRequestSchema;
use crate::problem::Problem;
use crate::routes::validate::validate;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateExportError {
    /// The request is wrong.
    #[error("the request is wrong")]
    Invalid(Vec<Violation>),
    /// Too many are made already.
    #[error(transparent)]
    TooMany(#[from] TooManyEstimates),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// ClickHouse failed.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl IntoResponse for EstimateExportError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Invalid(violations) => Problem::invalid_request(violations),
            Self::TooMany(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Source(SourceError::Engine(exception)) if exception.refuses_pattern() => {
                let filters = Pointer::root().child("filters");
                let detail = "has a regular expression that ClickHouse does not take";
                Problem::invalid_request(vec![Violation::new(filters, detail)])
            }
            Self::Source(error) => match error.class() {
                ErrorClass::Transient { .. } => Problem::unavailable(error),
                ErrorClass::Permanent | ErrorClass::Cancelled => Problem::internal(error),
            },
        };
        problem.into_response()
    }
}

/// Answers 200 with how many rows the export would have, how large its file would be and how long it
/// would take, for the same body that an export is requested with. Nothing is made or written.
///
/// # Errors
///
/// 422 with everything that is wrong with the request, and 503 when ClickHouse cannot be asked, or
/// when too many estimates are made already.
#[utoipa::path(
    post, path = "/api/v1/export/estimate", tag = "exports", security(("token" = ["export:create"])),
    request_body(content = ExportRequestSchema),
    responses((status = 200, description = "What the export would be.", body = Estimate)),
)]
pub async fn estimate_export(
    State(app): State<App>,
    Creator(principal): Creator,
    JsonBody(body): JsonBody,
) -> Result<Response, EstimateExportError> {
    let organization = principal.organization;
    let limits = app.limits.of(&app.quotas.of(organization));
    let (request, query) =
        validate(&app, &body, &limits, &principal).map_err(EstimateExportError::Invalid)?;
    let _permit = app.estimator.enter()?;
    let mut connection = store::acquire(&app.pool).await?;
    let costs = store::jobs::costs(
        &mut connection,
        organization,
        &principal.narrowed_to,
        &request,
    )
    .await?;
    drop(connection);
    let estimate = app.estimator.estimate(&query, &request.output, &costs);
    let estimate = match estimate.await {
        Err(SourceError::Engine(exception)) if exception.is_unknown_name() => {
            // The tables are not what they were at the last look.
            app.catalogue.refresh().await?;
            let (request, query) =
                validate(&app, &body, &limits, &principal).map_err(EstimateExportError::Invalid)?;
            let estimate = app.estimator.estimate(&query, &request.output, &costs);
            estimate.await?
        }
        estimate => estimate?,
    };
    Ok(Json(estimate).into_response())
}
