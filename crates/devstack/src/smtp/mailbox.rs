//! Shows the received messages over HTTP.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::Mail;
use crate::net::Server;

use super::shared::Shared;

/// Serves `GET /messages`, `GET /messages/to/{address}`, `GET /messages/{position}/html` (the first
/// is 0) and `DELETE /messages`.
pub(super) fn serve(listener: TcpListener, shared: Arc<Shared>) -> std::io::Result<Server> {
    let router = Router::new()
        .route("/messages", get(list).delete(forget))
        .route("/messages/to/{address}", get(list_to))
        .route("/messages/{position}/html", get(html))
        .with_state(shared);
    Server::serve(listener, move |stream| {
        let service = TowerToHyperService::new(router.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        async {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "mailbox connection ended");
            }
        }
    })
}

async fn list(State(shared): State<Arc<Shared>>) -> Json<Vec<Mail>> {
    Json(shared.messages())
}

async fn list_to(
    State(shared): State<Arc<Shared>>,
    Path(address): Path<String>,
) -> Json<Vec<Mail>> {
    Json(shared.messages_to(&address))
}

async fn html(
    State(shared): State<Arc<Shared>>,
    Path(position): Path<usize>,
) -> Result<Html<String>, StatusCode> {
    let mail = shared.messages().into_iter().nth(position);
    mail.map(|mail| Html(mail.html))
        .ok_or(StatusCode::NOT_FOUND)
}

async fn forget(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.forget_messages();
    StatusCode::NO_CONTENT
}
