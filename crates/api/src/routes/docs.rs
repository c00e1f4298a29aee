//! `GET /openapi.json` and `GET /docs`: the description of the API, for programs and for people.

use std::sync::LazyLock;

use axum::Json;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use utoipa::openapi::OpenApi;

use crate::openapi;

static DESCRIPTION: LazyLock<OpenApi> = LazyLock::new(openapi::description);

/// The page loads nothing from anywhere else.
const SELF_ONLY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers 200 with the OpenAPI document.
pub async fn openapi_json() -> Json<&'static OpenApi> {
    Json(&DESCRIPTION)
}

/// Answers 200 with a page that shows the OpenAPI document.
pub async fn docs() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, SELF_ONLY),
    ];
    (headers, include_str!("../../assets/docs.html"))
}

/// Answers 200 with the style sheet of the page.
pub async fn docs_style() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8")];
    (headers, include_str!("../../assets/style.css"))
}

/// Answers 200 with the script of the page.
pub async fn docs_script() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (headers, include_str!("../../assets/script.js"))
}
