//! Ports, and servers that live in this process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

/// Below the range from which outgoing connections take theirs, so that a server that was killed
/// finds its port free when it comes back.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// Finds a port of 127.0.0.1 on which nothing listens, a different one at each call.
///
/// # Errors
///
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    // Starts somewhere else in each process, as test binaries run side by side.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let [.., high, low] = Uuid::new_v4().into_bytes();
        AtomicU16::new(u16::from_be_bytes([high, low]) % PORTS)
    });
    for _ in 0..PORTS {
        let port = FIRST_PORT + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free from {FIRST_PORT} on, among {PORTS}")
}

/// Opens a listener on a free port.
pub(crate) async fn listen() -> anyhow::Result<TcpListener> {
    listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?))).await
}

/// Opens a listener where one was before.
pub(crate) async fn listen_on(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// A TCP server on a task of its own. Dropping it closes all of its connections.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each connection with a task.
    pub(crate) fn serve<F>(
        listener: TcpListener,
        answer: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        connections.spawn(answer(stream));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { address, task })
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hangs up on everybody and waits until the port is free again.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        // The only outcome is that it was cancelled.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes a client for plain HTTP on this machine.
pub(crate) fn http_client() -> anyhow::Result<reqwest::Client> {
    // Says which cryptography it would use, so that it does not look for a process-wide choice.
    let tls = rustls::ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()?)
}

/// Returns the cryptography of every TLS connection of the stack.
pub(crate) fn ring() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes a certificate for `localhost` and 127.0.0.1, as PEM, and what encrypts with it.
pub(crate) fn self_signed() -> anyhow::Result<(String, TlsAcceptor)> {
    let names = ["localhost", "127.0.0.1"].map(String::from);
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    Ok((cert.pem(), TlsAcceptor::from(Arc::new(config))))
}
