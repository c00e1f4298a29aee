//! Writes the document of every response that is a [`Problem`].

use axum::Json;
use axum::extract::{Extension, Request};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::middleware::RequestId;
use crate::problem::{self, Problem};

/// Fills in the body of a [`Problem`], which names the request.
pub async fn render(Extension(id): Extension<RequestId>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>() else {
        return response;
    };
    let document = Json(problem.document(id.as_str())).into_response();
    *response.body_mut() = document.into_body();
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(problem::CONTENT_TYPE),
    );
    response
}
