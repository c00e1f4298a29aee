//! `GET /healthz`: the process runs.

use axum::Json;
use serde_json::{Value, json};

/// Answers 200 as long as the process answers at all. Asks no other service.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
