//! A private Redis server, which forgets everything when it ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::data_dir::DataDir;
use crate::net::free_port;
use crate::process::{Process, Program};
use crate::programs::find;

/// A Redis server without persistence. Dropping it ends it.
pub struct Redis {
    // Ends before its directory goes.
    process: Process,
    data: DataDir,
    address: SocketAddr,
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not start.
    pub async fn start(dir: &Path) -> Result<Self> {
        let data = DataDir::create(dir, "redis")?;
        let port = free_port()?;
        let server = Program::new(find("redis-server")?)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .args([data.path()]);
        let redis = Self {
            process: Process::new(server, None, &dir.join("redis.log")),
            data,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// Returns the URL, such as `redis://127.0.0.1:6379`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Kills the server as a power cut would.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn kill(&self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts the server again, on the same port and empty.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await?;
        self.process
            .start(async || ping(self.address).await.is_ok())
            .await
    }

    /// Stops the server.
    ///
    /// # Errors
    ///
    /// When something stays behind.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await?;
        self.data.remove()
    }
}

async fn ping(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+PONG\r\n" {
        Ok(())
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}
