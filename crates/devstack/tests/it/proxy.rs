//! The proxy breaks what it is told to, and nothing else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use devstack::Proxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const ANSWER: usize = 1_000_000;

/// Starts a server that answers each byte with [`ANSWER`] bytes.
async fn server() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while stream.read_u8().await.is_ok() {
                    if stream.write_all(&vec![b'x'; ANSWER]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok(address)
}

/// Asks for one answer and returns how many bytes came before the end of the connection.
async fn ask(proxy: &Proxy) -> Result<usize> {
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    stream.write_u8(1).await?;
    let mut answer = vec![0; ANSWER];
    let mut length = 0;
    while length < ANSWER {
        match stream.read(&mut answer[length..]).await? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

#[tokio::test]
async fn connections_are_cut_until_it_is_healed() -> Result<()> {
    let proxy = Proxy::start(server().await?).await?;
    assert_eq!(ask(&proxy).await?, ANSWER);
    proxy.cut_after(1234);
    assert_eq!(ask(&proxy).await?, 1234);
    assert_eq!(ask(&proxy).await?, 1234);
    proxy.heal().await?;
    assert_eq!(ask(&proxy).await?, ANSWER);
    proxy.cut_once_after(777_777);
    assert_eq!(ask(&proxy).await?, 777_777);
    assert_eq!(ask(&proxy).await?, ANSWER);
    assert_eq!(proxy.url_of("http"), format!("http://{}", proxy.addr()));
    Ok(())
}

#[tokio::test]
async fn a_stalled_connection_goes_on_when_healed() -> Result<()> {
    let proxy = Proxy::start(server().await?).await?;
    proxy.stall_after(10);
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    stream.write_u8(1).await?;
    let mut answer = vec![0; ANSWER];
    stream.read_exact(&mut answer[..10]).await?;
    let more = timeout(Duration::from_millis(300), stream.read_u8()).await;
    assert!(more.is_err(), "more came: {more:?}");
    proxy.heal().await?;
    stream.read_exact(&mut answer[10..]).await?;
    Ok(())
}

#[tokio::test]
async fn open_connections_feel_a_fault_too() -> Result<()> {
    let proxy = Proxy::start(server().await?).await?;
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    let mut answer = vec![0; ANSWER];
    stream.write_u8(1).await?;
    stream.read_exact(&mut answer).await?;
    proxy.cut_after(5);
    stream.write_u8(1).await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    assert_eq!(rest.len(), 5);
    Ok(())
}

#[tokio::test]
async fn a_throttled_answer_takes_its_time() -> Result<()> {
    let proxy = Proxy::start(server().await?).await?;
    proxy.throttle(1_000_000);
    let started = Instant::now();
    assert_eq!(ask(&proxy).await?, ANSWER);
    let elapsed = started.elapsed();
    assert!(elapsed > Duration::from_millis(800), "it took {elapsed:?}");
    Ok(())
}

#[tokio::test]
async fn refused_connections_are_accepted_again_when_healed() -> Result<()> {
    let proxy = Proxy::start(server().await?).await?;
    let mut open = TcpStream::connect(proxy.addr()).await?;
    proxy.refuse().await;
    assert!(
        open.read_u8().await.is_err(),
        "the open connection is still there"
    );
    assert!(
        TcpStream::connect(proxy.addr()).await.is_err(),
        "a new connection was accepted"
    );
    proxy.heal().await?;
    assert_eq!(ask(&proxy).await?, ANSWER);
    Ok(())
}
