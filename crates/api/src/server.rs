//! Serves HTTP/1.1 on a socket: bounded connections, slow clients cut off, graceful shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use runtime::shutdown::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::config::HttpConfig;

/// How long to wait after `accept` failed, which it does when file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `shutdown.soft`, then lets the requests finish that have begun, at the
/// latest until `shutdown.hard`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &HttpConfig,
    shutdown: &Shutdown,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .max_header_size(config.max_header_bytes);
    let connections = Arc::new(Semaphore::new(config.max_connections.get().into()));
    let graceful = GracefulShutdown::new();
    while let Some((stream, peer)) = shutdown.soft.run_until_cancelled(accept(&listener)).await {
        let service = router.clone().map_request(move |request: Request<_>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        let Some(Ok(permit)) = shutdown
            .soft
            .run_until_cancelled(Arc::clone(&connections).acquire_owned())
            .await
        else {
            break;
        };
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(
                    error = &error as &dyn std::error::Error,
                    "connection broke off"
                );
            }
            drop(permit);
        });
    }
    drop(listener);
    shutdown.hard.run_until_cancelled(graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "could not accept a connection"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
