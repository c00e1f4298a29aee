//! A receiver of webhooks: an HTTPS server that keeps what it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, LOCATION};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::net::{Server, listen, self_signed};

/// What a [`Receiver`] was told.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path, with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// Returns a header, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// How a [`Receiver`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With a status and nothing else.
    Status(StatusCode),
    /// With 307 to another address.
    Redirect(String),
    /// Never.
    Silence,
}

/// An HTTPS server. It answers 204 until it is told otherwise. Dropping it ends it.
pub struct Receiver {
    server: Server,
    certificate: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<usize>,
    received: Mutex<Vec<Received>>,
    replies: Mutex<VecDeque<Reply>>,
}

impl Receiver {
    /// Starts a receiver that has received nothing.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let (certificate, tls) = self_signed()?;
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        let server = Server::serve(listen().await?, move |stream| {
            serve(stream, tls.clone(), Arc::clone(&state))
        })?;
        Ok(Self {
            server,
            certificate,
            shared,
        })
    }

    /// Returns the port, of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// Returns the address of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port())
    }

    /// Returns the certificate, for `localhost` and 127.0.0.1, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Says how the next calls are answered, one after the other.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.replies).extend(replies);
    }

    /// Returns what has been received, oldest first.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Counts the connections that were made, whatever came over them.
    pub fn connections(&self) -> usize {
        *lock(&self.shared.connections)
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    *lock(&shared.connections) += 1;
    let outcome = async {
        let stream = TokioIo::new(tls.accept(stream).await?);
        let answer = service_fn(|request| answer(request, Arc::clone(&shared)));
        hyper::server::conn::http1::Builder::new()
            .serve_connection(stream, answer)
            .await?;
        anyhow::Ok(())
    };
    if let Err(error) = outcome.await {
        tracing::debug!(%error, "connection to the receiver ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(with_status(StatusCode::BAD_REQUEST));
    };
    lock(&shared.received).push(Received {
        method: parts.method,
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: body.to_bytes(),
    });
    let reply = lock(&shared.replies).pop_front();
    Ok(match reply {
        None => with_status(StatusCode::NO_CONTENT),
        Some(Reply::Status(status)) => with_status(status),
        Some(Reply::Redirect(to)) => {
            let mut response = with_status(StatusCode::TEMPORARY_REDIRECT);
            if let Ok(to) = to.parse() {
                response.headers_mut().insert(LOCATION, to);
            }
            response
        }
        Some(Reply::Silence) => std::future::pending().await,
    })
}

fn with_status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
