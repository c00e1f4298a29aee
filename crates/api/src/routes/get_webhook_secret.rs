//! `GET /api/v1/export/webhook-secret`: with what the webhooks of the organization are signed.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use notify::WebhookSecret;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::WebhookOwner;
use crate::problem::{Problem, ProblemCode};

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum GetWebhookSecretError {
    /// The service has no secret from which those of organizations are made.
    #[error("webhooks are not set up")]
    NotSetUp,
}

impl IntoResponse for GetWebhookSecretError {
    fn into_response(self) -> Response {
        match self {
            Self::NotSetUp => {
                let detail = "Whoever runs the service has to set notify.webhook_secrets.";
                Problem::new(ProblemCode::NoWebhooks, detail)
            }
        }
        .into_response()
    }
}

/// With what the webhooks of an organization are signed.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = WebhookSecrets)]
pub(crate) struct Secrets {
    /// As Standard Webhooks writes them, `whsec_…`, the newest first. Calls are signed with each, so
    /// that a receiver which knows one of them accepts all.
    secrets: Vec<String>,
}

impl Secrets {
    pub(crate) fn of<S: AsRef<str>>(secrets: &[S]) -> Self {
        let secrets = secrets.iter().map(|secret| secret.as_ref().to_owned());
        Self {
            secrets: secrets.collect(),
        }
    }
}

/// Answers 200 with the secrets of the caller's organization.
///
/// # Errors
///
/// 404 when webhooks are not set up.
#[utoipa::path(
    get, path = "/api/v1/export/webhook-secret", tag = "exports", security(("token" = ["export:webhooks"])),
    responses((status = 200, description = "The secrets.", body = Secrets)),
)]
pub async fn get_webhook_secret(
    State(app): State<App>,
    WebhookOwner(principal): WebhookOwner,
) -> Result<Response, GetWebhookSecretError> {
    let secrets = app.webhooks.secrets(principal.organization);
    if secrets.is_empty() {
        return Err(GetWebhookSecretError::NotSetUp);
    }
    let secrets: Vec<_> = secrets.iter().map(WebhookSecret::reveal).collect();
    Ok(Json(Secrets::of(&secrets)).into_response())
}
