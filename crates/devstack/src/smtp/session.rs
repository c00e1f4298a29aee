//! One conversation with a mail client (RFC 5321, 3207 STARTTLS, 4954 AUTH, 1870 SIZE).

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::reader::{MAX_MESSAGE_BYTES, read_line, read_message};
use super::shared::{Shared, Stage};

/// Serves a connection that begins in plain text.
pub(super) async fn plain(stream: TcpStream, shared: Arc<Shared>) {
    let outcome = async {
        let mut stream = BufReader::new(stream);
        let greeting = Some("220 devstack ESMTP");
        if Session::new(&shared, false)
            .run(&mut stream, greeting)
            .await?
            == End::StartTls
        {
            // What came along in plain text is dropped with the buffer.
            let stream = shared.tls.accept(stream.into_inner()).await?;
            Session::new(&shared, true)
                .run(&mut BufReader::new(stream), None)
                .await?;
        }
        io::Result::Ok(())
    };
    report(outcome.await);
}

/// Serves a connection that is encrypted from the first byte.
pub(super) async fn encrypted(stream: TcpStream, shared: Arc<Shared>) {
    let outcome = async {
        let stream = shared.tls.accept(stream).await?;
        let greeting = Some("220 devstack ESMTP");
        Session::new(&shared, true)
            .run(&mut BufReader::new(stream), greeting)
            .await
    };
    report(outcome.await.map(drop));
}

fn report(outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "smtp connection ended");
    }
}

/// How a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    StartTls,
}

/// A client's connection, both ways.
trait Stream: AsyncBufRead + AsyncWrite + Unpin {}

impl<S: AsyncBufRead + AsyncWrite + Unpin> Stream for S {}

struct Session<'a> {
    shared: &'a Shared,
    encrypted: bool,
    logged_in: bool,
    has_sender: bool,
    recipients: Vec<String>,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, encrypted: bool) -> Self {
        Self {
            shared,
            encrypted,
            logged_in: false,
            has_sender: false,
            recipients: Vec::new(),
        }
    }

    async fn run(mut self, stream: &mut impl Stream, greeting: Option<&str>) -> io::Result<End> {
        if let Some(greeting) = greeting {
            say(stream, greeting).await?;
        }
        while let Some(line) = read_line(stream).await? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.greet(stream).await?,
                "HELO" => say(stream, "250 devstack").await?,
                "STARTTLS" if !self.encrypted => {
                    say(stream, "220 go ahead").await?;
                    return Ok(End::StartTls);
                }
                "AUTH" => self.log_in(stream, argument).await?,
                "MAIL" => self.sender(stream).await?,
                "RCPT" => self.recipient(stream, argument).await?,
                "DATA" => {
                    if self.data(stream).await? == Next::HangUp {
                        return Ok(End::Closed);
                    }
                }
                "RSET" => {
                    self.reset();
                    say(stream, "250 forgotten").await?;
                }
                "NOOP" => say(stream, "250 fine").await?,
                "QUIT" => {
                    say(stream, "221 goodbye").await?;
                    return Ok(End::Closed);
                }
                _ => say(stream, "502 unknown command").await?,
            }
        }
        Ok(End::Closed)
    }

    async fn greet(&self, stream: &mut impl Stream) -> io::Result<()> {
        let starttls = if self.encrypted {
            ""
        } else {
            "250-STARTTLS\r\n"
        };
        let text = format!(
            "250-devstack\r\n{starttls}250-AUTH PLAIN LOGIN\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MAX_MESSAGE_BYTES}"
        );
        say(stream, &text).await
    }

    async fn log_in(&mut self, stream: &mut impl Stream, argument: &str) -> io::Result<()> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let login = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let answer = match initial {
                    "" => ask(stream, "").await?,
                    initial => decode(initial),
                };
                let mut fields = answer.splitn(3, '\0').skip(1).map(str::to_owned);
                fields.next().zip(fields.next())
            }
            "LOGIN" => {
                let user = match initial {
                    "" => ask(stream, "Username:").await?,
                    initial => decode(initial),
                };
                Some((user, ask(stream, "Password:").await?))
            }
            _ => return say(stream, "504 unknown mechanism").await,
        };
        self.logged_in =
            login.is_some_and(|(user, password)| self.shared.accepts_login(&user, &password));
        let reply = if self.logged_in {
            "235 welcome"
        } else {
            "535 5.7.8 wrong login"
        };
        say(stream, reply).await
    }

    async fn sender(&mut self, stream: &mut impl Stream) -> io::Result<()> {
        if self.shared.login_required() && !self.logged_in {
            return say(stream, "530 5.7.0 log in first").await;
        }
        self.reset();
        self.has_sender = true;
        say(stream, "250 sender taken").await
    }

    async fn recipient(&mut self, stream: &mut impl Stream, argument: &str) -> io::Result<()> {
        let address = argument
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        match (self.has_sender, address) {
            (false, _) => say(stream, "503 MAIL comes first").await,
            (_, None) => say(stream, "501 no address").await,
            (true, Some((address, _))) => {
                if let Some(reply) = self.shared.faults.take_rejection(Stage::Recipient) {
                    return say(stream, &format!("{reply} refused")).await;
                }
                self.recipients.push(address.to_owned());
                say(stream, "250 recipient taken").await
            }
        }
    }

    async fn data(&mut self, stream: &mut impl Stream) -> io::Result<Next> {
        if self.recipients.is_empty() {
            say(stream, "503 RCPT comes first").await?;
            return Ok(Next::GoOn);
        }
        say(stream, "354 end with a dot").await?;
        let message = read_message(stream).await?;
        let recipients = std::mem::take(&mut self.recipients);
        self.reset();
        if let Some(reply) = self.shared.faults.take_rejection(Stage::Data) {
            say(stream, &format!("{reply} refused")).await?;
            return Ok(Next::GoOn);
        }
        let Some(message) = message else {
            say(stream, "552 too large").await?;
            return Ok(Next::GoOn);
        };
        self.shared.keep(recipients, &message).await?;
        if self.shared.faults.take_hang_up() {
            return Ok(Next::HangUp);
        }
        say(stream, "250 kept").await?;
        Ok(Next::GoOn)
    }

    fn reset(&mut self) {
        self.has_sender = false;
        self.recipients.clear();
    }
}

/// What follows a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    HangUp,
}

async fn say(stream: &mut impl Stream, text: &str) -> io::Result<()> {
    // In one piece: the second of two would wait until the client has confirmed the first.
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// Asks for a base64 line and decodes it.
async fn ask(stream: &mut impl Stream, prompt: &str) -> io::Result<String> {
    say(stream, &format!("334 {}", STANDARD.encode(prompt))).await?;
    Ok(decode(&read_line(stream).await?.unwrap_or_default()))
}

/// Decodes base64; what is none can be no login and becomes empty.
fn decode(text: &str) -> String {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
