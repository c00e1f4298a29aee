//! A proxy whose bytes come in small pieces.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Url;
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the bytes of one direction come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    /// So many at a time.
    pub(super) bytes: usize,
    /// And then nothing for so long.
    pub(super) pause: Duration,
}

impl Pieces {
    /// Large ones, as they come.
    pub(super) const ANY: Self = Self::of(65_536);

    /// Pieces of a size, one after the other.
    pub(super) const fn of(bytes: usize) -> Self {
        Self {
            bytes,
            pause: Duration::ZERO,
        }
    }

    async fn copy(
        self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut buffer = vec![0; self.bytes];
        loop {
            match from.read(&mut buffer).await? {
                0 => return to.shutdown().await,
                read => to.write_all(&buffer[..read]).await?,
            }
            if self.pause.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(self.pause).await;
            }
        }
    }
}

/// Starts a proxy before the server of `url`, and returns the URL through it.
pub(super) async fn proxy_before(url: &str, requests: Pieces, answers: Pieces) -> Result<String> {
    let mut url = Url::parse(url)?;
    let target = url.socket_addrs(|| None)?[0];
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    url.set_port(Some(listener.local_addr()?.port()))
        .ok()
        .context("a URL with a port")?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                client.set_nodelay(true)?;
                let mut server = TcpStream::connect(target).await?;
                let (from_client, to_client) = client.split();
                let (from_server, to_server) = server.split();
                tokio::try_join!(
                    requests.copy(from_client, to_server),
                    answers.copy(from_server, to_client),
                )
            });
        }
    });
    Ok(url.into())
}
