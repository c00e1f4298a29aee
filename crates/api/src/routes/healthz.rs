//! `GET /healthz`: the process runs.

use axum::Json;
use serde_json::{Value, json};

/// Answers 200 as long as the process answers at all. Asks no other service.
#[utoipa::path(
    get, path = "/healthz", tag = "service",
    responses((status = 200, description = "The process runs.", body = Object)),
)]
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
