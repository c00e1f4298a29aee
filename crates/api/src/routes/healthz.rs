//! `GET /healthz`: the process runs.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// That the process runs.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Health {
    status: &'static str,
}

impl Health {
    pub(crate) const OK: Self = Self { status: "ok" };
}

/// Answers 200 as long as the process answers at all. Asks no other service.
#[utoipa::path(
    get, path = "/healthz", tag = "service",
    responses((status = 200, description = "The process runs.", body = Health)),
)]
pub async fn healthz() -> Json<Health> {
    Json(Health::OK)
}
