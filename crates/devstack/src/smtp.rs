//! A mail server that keeps what it receives and shows it over HTTP.

mod mailbox;
mod reader;
mod session;
mod shared;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::net::TcpListener;

use crate::data_dir::DataDir;
use crate::net::{Server, listen, listen_on, self_signed};

use self::shared::Shared;

pub use self::shared::{SmtpFaults, Stage};

/// A mail server with its mailbox. Dropping it ends both.
///
/// It takes mail for anybody, with or without STARTTLS and authentication, until it is told
/// otherwise. Messages are also files, `*.eml`, in its directory.
pub struct Smtp {
    servers: Mutex<Vec<Server>>,
    address: SocketAddr,
    tls_address: SocketAddr,
    mailbox: Server,
    certificate: String,
    shared: Arc<Shared>,
    data: DataDir,
}

impl Smtp {
    /// Starts a server with an empty mailbox.
    ///
    /// # Errors
    ///
    /// When its directory cannot be created or no port is free.
    pub async fn start(dir: &Path) -> Result<Self> {
        let data = DataDir::create(dir, "smtp")?;
        let (certificate, tls) = self_signed()?;
        let shared = Arc::new(Shared::new(tls, data.path().to_owned()));
        let (plain, wrapped) = (listen().await?, listen().await?);
        let mailbox = mailbox::serve(listen().await?, Arc::clone(&shared))?;
        let smtp = Self {
            servers: Mutex::default(),
            address: plain.local_addr()?,
            tls_address: wrapped.local_addr()?,
            mailbox,
            certificate,
            shared,
            data,
        };
        smtp.serve(plain, wrapped)?;
        Ok(smtp)
    }

    /// Returns the port that begins in plain text and offers STARTTLS.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the port that is encrypted from the first byte.
    pub fn tls_port(&self) -> u16 {
        self.tls_address.port()
    }

    /// Returns the certificate of both ports, for `localhost` and 127.0.0.1, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Returns the URL for [`crate::Mailbox::new`].
    pub fn mailbox_url(&self) -> String {
        format!("http://{}", self.mailbox.address())
    }

    /// Takes no more mail without this login.
    pub fn require_login(&self, user: &str, password: &str) {
        self.shared.require_login(user, password);
    }

    /// Returns what is to go wrong.
    pub fn faults(&self) -> &SmtpFaults {
        &self.shared.faults
    }

    /// Hangs up on everybody and closes both ports; the mailbox stays.
    pub async fn kill(&self) {
        let servers = std::mem::take(&mut *self.servers());
        for server in servers {
            server.stop().await;
        }
    }

    /// Takes mail on the same ports again.
    ///
    /// # Errors
    ///
    /// When a port has been taken.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await;
        self.serve(
            listen_on(self.address).await?,
            listen_on(self.tls_address).await?,
        )
    }

    /// Stops the server and removes its messages.
    ///
    /// # Errors
    ///
    /// When something stays behind.
    pub async fn stop(self) -> Result<()> {
        self.kill().await;
        self.mailbox.stop().await;
        self.data.remove()
    }

    fn serve(&self, plain: TcpListener, wrapped: TcpListener) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let plain = Server::serve(plain, move |stream| {
            session::plain(stream, Arc::clone(&shared))
        })?;
        let shared = Arc::clone(&self.shared);
        let wrapped = Server::serve(wrapped, move |stream| {
            session::encrypted(stream, Arc::clone(&shared))
        })?;
        *self.servers() = vec![plain, wrapped];
        Ok(())
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
