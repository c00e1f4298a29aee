//! A TCP proxy that breaks connections the way networks do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::net::{Server, listen, listen_on};

const BUFFER_BYTES: usize = 64 * 1024;

/// What happens to the responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Cut { after: u64, once: bool },
    Stall { after: u64 },
    Throttle { bytes_per_second: u64 },
}

/// Forwards connections to a target and can be told to do it badly. Dropping it closes them all.
///
/// Faults hold for the connections that are open as well as for new ones, until
/// [`Proxy::heal`]. They count the bytes of each connection's responses from the moment they are set.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    fault: Arc<watch::Sender<Fault>>,
    server: Mutex<Option<Server>>,
}

impl Proxy {
    /// Starts a faithful proxy on a port of its own.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = listen().await?;
        let proxy = Self {
            address: listener.local_addr()?,
            target,
            fault: Arc::new(watch::Sender::new(Fault::None)),
            server: Mutex::new(None),
        };
        *proxy.server() = Some(proxy.serve(listener)?);
        Ok(proxy)
    }

    /// Returns where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL, such as `http://127.0.0.1:20001`.
    pub fn url_of(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// Closes each connection after so many bytes of response.
    pub fn cut_after(&self, bytes: u64) {
        self.fault.send_replace(Fault::Cut {
            after: bytes,
            once: false,
        });
    }

    /// Closes the first connection that gets to so many bytes of response, and then works again.
    pub fn cut_once_after(&self, bytes: u64) {
        self.fault.send_replace(Fault::Cut {
            after: bytes,
            once: true,
        });
    }

    /// Stops delivering after so many bytes of response, with the connection open.
    pub fn stall_after(&self, bytes: u64) {
        self.fault.send_replace(Fault::Stall { after: bytes });
    }

    /// Delivers responses at this speed.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.fault
            .send_replace(Fault::Throttle { bytes_per_second });
    }

    /// Closes all connections and refuses new ones.
    pub async fn refuse(&self) {
        let server = self.server().take();
        if let Some(server) = server {
            server.stop().await;
        }
    }

    /// Works faithfully again.
    ///
    /// # Errors
    ///
    /// When the port was taken after [`Proxy::refuse`].
    pub async fn heal(&self) -> Result<()> {
        self.fault.send_replace(Fault::None);
        if self.server().is_none() {
            let listener = listen_on(self.address).await?;
            *self.server() = Some(self.serve(listener)?);
        }
        Ok(())
    }

    fn serve(&self, listener: tokio::net::TcpListener) -> io::Result<Server> {
        let (target, fault) = (self.target, Arc::clone(&self.fault));
        Server::serve(listener, move |client| {
            let fault = Arc::clone(&fault);
            async move {
                if let Err(error) = forward(client, target, fault).await {
                    tracing::debug!(%error, "proxied connection ended");
                }
            }
        })
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forwards one connection until either side ends it or a fault cuts it.
async fn forward(
    mut client: TcpStream,
    target: SocketAddr,
    fault: Arc<watch::Sender<Fault>>,
) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        io::copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let responses = async {
        respond(&mut from_server, &mut to_client, &fault).await?;
        to_client.shutdown().await
    };
    // A server that has answered all it will ends the connection; a client that has asked all it
    // will still waits for the answer.
    tokio::pin!(requests, responses);
    tokio::select! {
        outcome = &mut responses => outcome,
        outcome = &mut requests => {
            outcome?;
            responses.await
        }
    }
}

/// Copies a server's responses under the fault that is set at the time.
async fn respond(
    server: &mut (impl io::AsyncRead + Unpin),
    client: &mut (impl io::AsyncWrite + Unpin),
    fault: &watch::Sender<Fault>,
) -> io::Result<()> {
    let mut changes = fault.subscribe();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut delivered = 0;
    let mut current = *changes.borrow_and_update();
    loop {
        let room = match current {
            Fault::None => usize::MAX,
            Fault::Cut { after, .. } | Fault::Stall { after } => {
                usize::try_from(after - delivered).unwrap_or(usize::MAX)
            }
            // A tenth of a second's worth at a time, at most.
            Fault::Throttle { bytes_per_second } => {
                usize::try_from(bytes_per_second.div_ceil(10)).unwrap_or(usize::MAX)
            }
        };
        if let (0, Fault::Cut { once, .. }) = (room, current) {
            if once {
                fault.send_replace(Fault::None);
            }
            return Ok(());
        }
        let room = room.min(buffer.len());
        let read = tokio::select! {
            biased;
            Ok(()) = changes.changed() => {
                current = *changes.borrow_and_update();
                delivered = 0;
                continue;
            }
            read = server.read(&mut buffer[..room]), if room > 0 => read?,
        };
        if read == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..read]).await?;
        delivered += read as u64;
        if let Fault::Throttle { bytes_per_second } = current {
            let micros = read as u64 * 1_000_000 / bytes_per_second.max(1);
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }
}
